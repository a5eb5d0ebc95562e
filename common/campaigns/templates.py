"""Prompt templates: a subset of Liquid (python-liquid) with output and ``if``, without loops, lookups or includes.

Values are texts and are never read as templates. An empty value is a missing one: false to ``if``, equal to ``blank``,
replaced by ``default``, an error to everything else.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from string import whitespace
from typing import Any, ClassVar, NamedTuple

from liquid import BoundTemplate, Environment, FalsyStrictUndefined, RenderContext
from liquid.ast import Node
from liquid.builtin import content, illegal, output
from liquid.builtin.expressions import FilteredExpression, Path
from liquid.builtin.expressions.arguments import PositionalArgument
from liquid.builtin.expressions.filtered import Filter
from liquid.builtin.expressions.logical import EqExpression, NeExpression
from liquid.builtin.expressions.primitive import Nil, RangeLiteral, StringLiteral
from liquid.builtin.tags import if_tag
from liquid.exceptions import LiquidError, OutputStreamLimitError, UndefinedError
from liquid.expression import Expression
from liquid.utils import ReadOnlyChainMap

from common.campaigns.placeholders import spell_placeholder
from common.campaigns.template_filters import FILTERS, UnreadableValueError
from common.errors import PressroomError
from common.safety.template_tags import find_tags

LONGEST_RENDERED = 100_000
"""Bytes that one template may come to before the length of prompts is looked at."""

MOST_KEPT = 256
"""Templates that a process remembers."""

LONGEST_TAG = 500
"""Characters: Liquid takes time in the square of a tag's length, but of nothing longer."""

MOST_FILTERS = 8
"""Of one output: each may make the text longer."""


class TemplateError(PressroomError):
    """The template cannot be read."""

    code = "template_syntax"


class InvalidValueError(TemplateError):
    """A value is not what a filter of the template needs, such as a date."""

    code = "invalid_value"


class MissingValueError(UndefinedError):
    """A value is empty or missing, and the template has no default for it."""

    def __init__(self, name: str) -> None:
        super().__init__(name, token=None)
        self.name = name


class Missing(FalsyStrictUndefined):
    """Represents a missing value."""

    force_liquid_default = True

    def __str__(self) -> str:
        """Refuse."""
        raise MissingValueError(self.name)


class Placeholder(NamedTuple):
    """A variable in a text: the text before it, its name, and its replacement."""

    text: str
    name: str
    default: str | None


class _Context(RenderContext):
    """Knows a recipient's values and nothing else: Liquid's own know what time it is."""

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self.scope = ReadOnlyChainMap(self.locals, self.globals)


class _Bound(BoundTemplate):
    context_class = _Context


class _Environment(Environment):
    template_class = _Bound
    block_nesting_limit: ClassVar[int] = 10
    context_depth_limit: ClassVar[int] = 10
    loop_iteration_limit: ClassVar[int | None] = 1
    local_namespace_limit: ClassVar[int | None] = 1
    output_stream_limit: ClassVar[int | None] = LONGEST_RENDERED

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        """Add the few that are allowed."""
        for tag in (content.Literal, output.Output, illegal.Illegal, if_tag.IfTag):
            self.add_tag(tag)
        for name, function in FILTERS.items():
            self.add_filter(name, function)


_ENVIRONMENT = _Environment(undefined=Missing)


class CompiledTemplate:
    """One template, read once and filled in for each recipient."""

    def __init__(self, source: str) -> None:
        """Read *source*; raise TemplateError, a sentence, for what it may not say."""
        _check_tags(source)
        try:
            self._template = _ENVIRONMENT.from_string(source)
        except LiquidError as error:
            raise TemplateError(_format_error(error) + _suggest_name(source, error)) from None
        except RecursionError:
            raise TemplateError("is nested too deeply") from None
        self.variables = frozenset(_find_variables(self._template))
        self._gaps = _find_placeholders(self._template)
        # What fails for every value is found here, and what never varies is filled in once and for all.
        self._constant = self._try_names()

    def _try_names(self) -> str | None:
        """Fill in names for values; return the text if it has no variables, and None otherwise."""
        self._try_filters()
        try:
            tried = self._render_with_liquid({name: name for name in self.variables})
        except InvalidValueError as error:
            if not self.variables:
                raise TemplateError(error.message) from None
            return None  # a name cannot be a date
        return None if self.variables else tried

    def _try_filters(self) -> None:
        """Fill in each output by itself, those of all branches; raise TemplateError for one that no value suits."""
        context = _Context(self._template, globals={name: name for name in self.variables})
        for expression in _walk_expressions(self._template.nodes, context):
            if isinstance(expression, FilteredExpression):
                try:
                    expression.evaluate(context)
                except (UnreadableValueError, MissingValueError):
                    continue  # a name cannot be a date
                except LiquidError as error:
                    raise TemplateError(_format_error(error)) from None

    def render(self, values: Mapping[str, str]) -> str:
        """Return the text for *values*, of which none is empty.

        Raises MissingValueError, and TemplateError for what no value makes sense of.
        """
        if self._constant is not None:
            return self._constant
        return self._render_with_liquid(values) if self._gaps is None else self._join(self._gaps, values)

    def _join(self, gaps: list[Placeholder], values: Mapping[str, str]) -> str:
        """Return what ``_render_with_liquid`` would, at a tenth of the time."""
        parts: list[str] = []
        for text, name, default in gaps:
            value = values.get(name, default)
            if value is None:
                raise MissingValueError(name)
            parts += (text, value)
        return "".join(parts)

    def _render_with_liquid(self, values: Mapping[str, str]) -> str:
        try:
            return self._template.render(values)
        except MissingValueError:
            raise
        except UnreadableValueError as error:
            raise InvalidValueError(error.detail) from None
        except OutputStreamLimitError:
            raise TemplateError("produces a text that is too long") from None
        except LiquidError as error:
            raise TemplateError(_format_error(error)) from None


@lru_cache(MOST_KEPT)
def compile_template(source: str) -> CompiledTemplate:
    """Return the template that *source* spells; raise TemplateError."""
    return CompiledTemplate(source)


def _check_tags(source: str) -> None:
    """Refuse, in one pass, what Liquid's own reader would search to the end of the template for, again and again."""
    for start, end in find_tags(source):
        if end is None:
            raise TemplateError(f"cannot be read at character {start + 1}: the tag is not closed")
        if end - start > LONGEST_TAG:
            raise TemplateError(
                f"cannot be read at character {start + 1}: a tag must not be longer than {LONGEST_TAG} characters"
            )
        if source[start + 1] == "%" and source[start + 2 : end - 2].strip("-" + whitespace) in ("raw", "doc"):
            raise TemplateError(f"cannot be read at character {start + 1}: unexpected tag")


def _find_variables(template: BoundTemplate) -> Iterator[str]:
    for expression in _walk_expressions(template.nodes, RenderContext(template)):
        if isinstance(expression, EqExpression | NeExpression):
            _soften_comparison(expression)
        if isinstance(expression, RangeLiteral):
            raise TemplateError("must not contain a range")
        if isinstance(expression, FilteredExpression):
            _check_filters(expression)
        if isinstance(expression, Path):
            parts = [part for part in expression.path if isinstance(part, str)]
            if len(parts) < len(expression.path):
                raise TemplateError(f"must not access {str(expression)[:64]}: values are plain text")
            name = spell_placeholder(".".join(parts))  # {{ contact.name }} means the column "contact.name"
            expression.path = [name]
            yield name


def _find_placeholders(template: BoundTemplate) -> list[Placeholder] | None:
    """Return the gaps of a template that is nothing but text, values and defaults, as most are; None of any other."""
    gaps, text = list[Placeholder](), ""
    for node in template.nodes:
        if isinstance(node, content.ContentNode):
            text += node.text
        elif isinstance(node, output.OutputNode) and (found := _parse_placeholder(node.expression)):
            gaps.append(Placeholder(text, *found))
            text = ""
        else:
            return None
    return [*gaps, Placeholder(text, "", "")]


def _parse_placeholder(expression: Expression) -> tuple[str, str | None] | None:
    """Return the variable of an output and its default, if that is all there is to it."""
    if not isinstance(expression, FilteredExpression) or not isinstance(expression.left, Path):
        return None
    name, filters = str(expression.left.path[0]), expression.filters or []
    if not filters:
        return name, None
    if len(filters) > 1 or filters[0].name != "default" or len(filters[0].args) != 1:
        return None
    value = filters[0].args[0].value
    return (name, value.value) if isinstance(value, StringLiteral) else None


def _walk_expressions(nodes: list[Node], context: RenderContext) -> Iterator[Expression]:
    found: list[Node | Expression] = [*nodes]
    while found:
        part = found.pop()
        if isinstance(part, Node):
            found.extend(part.children(context))
            found.extend(part.expressions())
        else:
            yield part
            found.extend(part.children())


def _soften_comparison(comparison: EqExpression | NeExpression) -> None:
    """Have what is missing be equal to whatever is empty, as people expect of cells; it is equal to nil already."""
    for side, other in (("left", comparison.right), ("right", comparison.left)):
        value = getattr(comparison, side)
        if isinstance(value, Path) and not isinstance(other, Nil | Path):
            empty = Filter(value.token, "default", [PositionalArgument(StringLiteral(value.token, ""))])
            setattr(comparison, side, FilteredExpression(value.token, value, [empty]))


def _check_filters(expression: FilteredExpression) -> None:
    filters = expression.filters or []
    if len(filters) > MOST_FILTERS:
        raise TemplateError(f"must not have more than {MOST_FILTERS} filters in one place")
    for each in filters:
        if each.name not in FILTERS:
            raise TemplateError(f"has an unknown filter {each.name[:64]!r}; allowed: {', '.join(sorted(FILTERS))}")
    names = [each.name for each in filters]
    if "split" in names and not {"first", "last", "join"} & {*names[names.index("split") :]}:
        raise TemplateError("must have first, last or join after split: a list cannot be printed")


def _format_error(error: LiquidError) -> str:
    place = error.token.start_index + 1 if error.token is not None and error.token.start_index >= 0 else None
    where = f" at character {place}" if place else ""
    return f"cannot be read{where}: {str(error.args[0])[:120] if error.args else 'invalid Liquid'}"


def _suggest_name(source: str, error: LiquidError) -> str:
    """Return how to write the tag that cannot be read, if it names a column by a heading such as ``First Name``."""
    at = error.token.start_index if error.token is not None else -1
    tag = next((source[start + 2 : end - 2] for start, end in find_tags(source) if end and start <= at < end), "")
    heading = tag.strip("-" + whitespace)
    if not heading or not all(sign.isalnum() or sign in " _.-" for sign in heading):
        return ""
    return f"; for a column {heading!r}, write {{{{ {spell_placeholder(heading)} }}}}"
