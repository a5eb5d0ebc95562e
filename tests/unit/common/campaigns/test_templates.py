"""Templates: a little Liquid that knows a recipient's values, and nothing that could be done with them."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings, strategies

from common.campaigns import templates
from common.campaigns.templates import LONGEST_TAG, MOST_FILTERS, CompiledTemplate, MissingValueError, TemplateError
from common.jobs.prompt_text import clean_text

VALUES = {
    "name": "Ada",
    "city": "Łódź",
    "first_name": "A.",
    "day": "2026-05-01",
    "price": "1234.5",
    "tags": "red, green, blue",
}


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("a card for {{ name }}", "a card for Ada"),
        ('{{ nick | default: "you" }}', "you"),
        ('{{ name | default: "you" }}', "Ada"),
        ("{{ nick | default: name }}", "Ada"),
        ("{{ name | upcase | append: '!' }}", "ADA!"),
        ("{{ name | truncate: 2, '' }}", "Ad"),
        ("{{ ['first name'] }}", "A."),
        ("{{ first.name }}", "A."),
        ("{{ First.Name | default: 'none' }}", "A."),
        ("{{ day | date: '%d.%m.%Y' }}", "01.05.2026"),
        ("{{ day | date: '%A, %-d %B %Y' }}", "Friday, 1 May 2026"),
        ("{{ nick | default: '1.5.2026 18:05' | date: '%b %e, %H:%M or %I %p, %y%%' }}", "May 1, 18:05 or 06 PM, 26%"),
        ("{{ price | number }}", "1235"),
        ("{{ price | number: 2 }}", "1234.50"),
        ("{{ price | number: 2, '1,234.56' }}", "1,234.50"),
        ("{{ price | number: 2, '1.234,56' }} €", "1.234,50 €"),
        ("{{ price | append: '678' | number: 1, '1 234,56' }}", "1 234,6"),
        ("{{ tags | split: ', ' | first }}", "red"),
        ("{{ tags | split: ',' | last | strip | upcase }}", "BLUE"),
        ("{{ tags | split: ', ' | join: ' and ' }}", "red and green and blue"),
        ("{{ nick | date: '%d' | default: 'soon' }}", "soon"),
        ("{{ nick | number: 2 | append: ' €' | default: 'free' }}", "free"),
        ("{{ nick | split: ' ' | first | default: 'you' }}", "you"),
        ("{{ nick | default: ' Ada  Lovelace' | split: ' ' | first }}", "Ada"),
        ("{% if city %}in {{ city }}{% endif %}", "in Łódź"),
        ("{% if nick %}{{ nick }}{% else %}{{ name }}{% endif %}", "Ada"),
        ("{% if nick != blank %}nick{% elsif name == 'Ada' %}yes{% endif %}", "yes"),
        ("{% if nick == '' and name contains 'd' %}yes{% endif %}", "yes"),
        ("{% if nick == nil %}{% if blank == nick %}yes{% endif %}{% endif %}", "yes"),
        ("{% if name == blank or city == name %}no{% else %}yes{% endif %}", "yes"),
        ("a {%- if name -%} b {%- endif -%} c", "abc"),
        ("no value at all", "no value at all"),
    ],
)
def test_values_defaults_and_conditions_are_filled_in(source: str, text: str) -> None:
    assert CompiledTemplate(source).render(VALUES) == text


@pytest.mark.parametrize("text", ["{a}", "{0.__init__.__globals__}", "%(a)s", "$a", "${a}", "}} {", "{# a #}", "%}"])
def test_other_template_syntax_is_plain_text(text: str) -> None:
    assert CompiledTemplate(text).render(VALUES) == text


@pytest.mark.parametrize(
    "source",
    [
        "{{" * 4900,
        "{%" * 4900,
        "a {{ name }} {{ name",
        "{{ name " + " " * LONGEST_TAG + "}}",
        "{% raw %}{{ name }}{% endraw %}",
    ],
    ids=["outputs", "tags", "last", "long", "raw"],
)
def test_tags_that_liquid_would_search_the_end_of_are_refused_at_once(source: str) -> None:
    with pytest.raises(TemplateError, match="cannot be read at character"):
        CompiledTemplate(source)


@pytest.mark.parametrize(
    "source",
    [
        "{{ name",
        "{{ name }",
        "{{ {{name}} }}",
        "{{ }}",
        "{{ a b }}",
        "{% if name %}",
        "{% endif %}",
        "{% if name",
        "{{ name[0] }}",
        "{{ name[city] }}",
        "{{ name | upper }}",
        "{{ name | first }}",
        "{{ name | join: ', ' }}",
        "{{ name | split }}",
        "{{ name | split: ' ' | upcase }}",
        "{{ name | date }}",
        "{{ '2026-05-01' | date: '%Q' }}",
        "{{ 'today' | date: '%Y' }}",
        "{{ born | date: '%Q' }}",
        "{{ born | date: '%Y' }} {{ born | date: '%Q' }}",
        "{% if name %}{{ name }}{% else %}{{ born | date: '%Q' }}{% endif %}",
        "{{ price | number: 11 }}",
        "{{ name | split: ' ' }}",
        "{{ name | split: ' ' | default: 'x' }}",
        "{{ '1' | number: 11 }}",
        "{{ '1' | number: 2, 'de' }}",
        "{{ name | replace: '', name }}",
        "{{ name | upcase: 3 }}",
        "{{ (1..1000000000) }}",
        "{{ name if city else 'x' }}",
        "{% for x in name %}{% endfor %}",
        "{% assign x = 1 %}",
        "{% capture x %}{% endcapture %}",
        "{% include 'x' %}",
        "{% render 'x' %}",
        "{% unless name %}{% endunless %}",
        "{% cycle 1, 2 %}",
        "{% increment x %}",
        "{% liquid echo name %}",
        "{{ name" + " | strip" * (MOST_FILTERS + 1) + " }}",
        "{% if name %}" * 2000 + "{% endif %}" * 2000,
    ],
)
def test_unsupported_or_malformed_liquid_is_refused_when_it_is_parsed(source: str) -> None:
    with pytest.raises(TemplateError) as refused:
        CompiledTemplate(source)
    assert refused.value.code == "template_syntax"
    assert len(refused.value.message) < 400


@pytest.mark.parametrize("source", ["{{ nick }}", "{{ nick | upcase }}", "{{ name | append: nick }}", "{{ now }}"])
def test_a_value_that_is_missing_and_has_no_default_is_named(source: str) -> None:
    with pytest.raises(MissingValueError) as refused:
        CompiledTemplate(source).render(VALUES)
    assert refused.value.name in ("nick", "now")


@pytest.mark.parametrize(
    ("source", "value", "words"),
    [
        ("{{ a | date: '%Y' }}", "tomorrow", "cannot read 'tomorrow' as a date; write it as 2026-05-01"),
        ("{{ a | date: '%Y' }}", "2026-02-30", "as a date"),
        ("{{ a | date: '%Y' }}", "2026-05-01 late", "as a date"),
        ("{{ a | date: '%Y' }}", "5/1/2026", "it may be 5 January 2026 or 1 May 2026; write it as 2026-05-01"),
        ("{{ a | number: 2 }}", "1,234", "cannot read '1,234' as a number: it may be 1234 or 1.234"),
        ("{{ a | number: 2 }}", "twelve", "cannot read 'twelve' as a number, such as 1234.5 or 19,90"),
        ("{{ a | number: 2 }}", "9" * 100, "as a number"),
        ("{{ a | split: ',' | join: a }}", "," * 9000, "too long"),
    ],
)
def test_a_value_that_a_filter_cannot_read_is_told_with_what_to_write(source: str, value: str, words: str) -> None:
    with pytest.raises(TemplateError, match=words) as refused:
        CompiledTemplate(source).render({"a": value})
    assert refused.value.code == "invalid_value"


def test_the_variables_of_every_branch_are_known_before_anything_is_filled_in() -> None:
    words = CompiledTemplate("{% if a %}{{ b | default: c }}{% elsif d == e %}{{ ['f g'] }}{% endif %}")
    assert words.variables == {"a", "b", "c", "d", "e", "f_g"}


@given(strategies.text(), strategies.text(min_size=1))
def test_a_value_is_text_whatever_it_holds(before: str, value: str) -> None:
    plain = before.replace("{", "(")
    assert CompiledTemplate(plain + "{{ a }}").render({"a": value}) == plain + value


def test_a_value_that_looks_like_a_template_is_not_filled_in() -> None:
    assert CompiledTemplate("{{ a }}").render({"a": "{{ b }}{% if c %}", "b": "secret"}) == "{{ b }}{% if c %}"


@settings(max_examples=50)
@given(
    strategies.lists(
        strategies.sampled_from(["a b ", "{{ name }}", "{{ nick }}", "{{ x | default: 'y' }}", " {{- city -}} ", "\n"])
    ),
    strategies.dictionaries(strategies.sampled_from(["name", "nick", "x", "city"]), strategies.text(min_size=1)),
)
def test_the_short_syntax_and_liquids_own_give_the_same_result(parts: list[str], values: dict[str, str]) -> None:
    words = CompiledTemplate("".join(parts))

    def fill(way: Callable[[dict[str, str]], str]) -> str:
        try:
            return clean_text(way(values))  # ends of lines, which Liquid makes one of, are none in a prompt
        except MissingValueError as error:
            return error.name

    assert fill(words.render) == fill(words._render_with_liquid)


def test_a_template_is_parsed_once() -> None:
    assert templates.compile_template("{{ a }}") is templates.compile_template("{{ a }}")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("for {{ First Name }}", "for a column 'First Name', write {{ first_name }}"),
        ("{% if vip %}{{-Kunden Nr. -}}{% endif %}", "for a column 'Kunden Nr.', write {{ kunden_nr }}"),
    ],
)
def test_a_heading_written_as_it_is_gets_the_name_to_write(source: str, words: str) -> None:
    with pytest.raises(TemplateError) as caught:
        CompiledTemplate(source)
    assert words in str(caught.value)


def test_other_faults_of_a_tag_get_no_name() -> None:
    with pytest.raises(TemplateError) as caught:
        CompiledTemplate("{{ name | | upcase }}")
    assert "write {{" not in str(caught.value)
