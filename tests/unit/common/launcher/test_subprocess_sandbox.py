"""What a program on an untrusted file can and cannot do."""

import tempfile
from pathlib import Path

import pytest

from common.launcher.subprocess_sandbox import FileRefusedError, Sandbox, SandboxBusyError


@pytest.fixture
def sandbox() -> Sandbox:
    return _open_sandbox()


def test_a_program_turns_its_file_and_its_arguments_into_an_output(sandbox: Sandbox, tmp_path: Path) -> None:
    program = _write(tmp_path, "import sys; sys.stdout.write(sys.stdin.read().upper() + '|'.join(sys.argv[1:]))")
    assert _run(sandbox, program, b"ink ", "a", "b") == b"INK a|b"


def test_a_program_refuses_a_file_by_exiting_with_a_reason(sandbox: Sandbox, tmp_path: Path) -> None:
    with pytest.raises(FileRefusedError) as refused:
        _run(sandbox, _write(tmp_path, "import sys; sys.exit('damaged')"))
    assert refused.value.reason == "damaged"


def test_a_program_has_no_environment_and_imports_nothing_from_the_current_folder(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRESSROOM_SECRET_KEY", "x" * 32)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "neighbour.py").touch()
    program = _write(
        tmp_path,
        "import importlib.util, os\n"
        "print([name for name in os.environ if 'PRESSROOM' in name], importlib.util.find_spec('neighbour'))",
    )
    assert _run(sandbox, program) == b"[] None\n"


def test_a_program_that_needs_too_much_memory_is_refused(tmp_path: Path) -> None:
    program = _write(tmp_path, "held = bytearray(2**30)")
    with pytest.raises(FileRefusedError):
        _run(_open_sandbox(memory_bytes=256 * 2**20), program)


def test_a_program_that_needs_too_much_of_a_core_is_refused(tmp_path: Path) -> None:
    sandbox = _open_sandbox(cpu_seconds=1)
    with pytest.raises(FileRefusedError):
        _run(sandbox, _write(tmp_path, "while True: pass"))


def test_a_program_that_sleeps_is_refused_without_a_reason(tmp_path: Path) -> None:
    with pytest.raises(FileRefusedError) as refused:
        _run(_open_sandbox(cpu_seconds=0.05), _write(tmp_path, "import time; time.sleep(60)"))
    assert refused.value.reason == ""


def test_only_so_many_programs_run_at_a_time(tmp_path: Path) -> None:
    sandbox = _open_sandbox(places=1, wait_seconds=0.01)
    program = _write(tmp_path, "import sys; sys.stdin.read()")
    with tempfile.TemporaryFile() as file, sandbox.start_program(program, file), pytest.raises(SandboxBusyError):
        _run(sandbox, program)
    assert _run(sandbox, program) == b""


def test_an_output_can_be_read_line_by_line_before_the_exit_is_checked(sandbox: Sandbox, tmp_path: Path) -> None:
    program = _write(tmp_path, "import sys; print(1); print(2); sys.exit('too_large')")
    with tempfile.TemporaryFile() as file, sandbox.start_program(program, file) as process:
        assert process.stdout is not None
        assert list(process.stdout) == [b"1\n", b"2\n"]
        with pytest.raises(FileRefusedError, match="too_large"):
            sandbox.check_exit(process)


def test_a_program_ends_with_the_block_that_reads_it(sandbox: Sandbox, tmp_path: Path) -> None:
    program = _write(tmp_path, "import time; time.sleep(60)")
    with tempfile.TemporaryFile() as file, sandbox.start_program(program, file) as process:
        pass
    assert process.returncode == -9


def _open_sandbox(
    memory_bytes: int = 2**30, cpu_seconds: float = 10, places: int = 2, wait_seconds: float = 10
) -> Sandbox:
    return Sandbox(memory_bytes=memory_bytes, cpu_seconds=cpu_seconds, places=places, wait_seconds=wait_seconds)


def _write(folder: Path, source: str) -> Path:
    program = folder / "program.py"
    program.write_text(source)
    return program


def _run(sandbox: Sandbox, program: Path, content: bytes = b"", *arguments: str) -> bytes:
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.seek(0)
        return sandbox.run_program(program, file, *arguments)
