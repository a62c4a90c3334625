import subprocess
import sys
from pathlib import Path

import pytest

from tunegate.errors import MachineError
from tunegate.locks import file_lock

HOLD = "import sys; from pathlib import Path; from tunegate.locks import file_lock\n"
HOLD += "with file_lock(Path(sys.argv[1]), 'busy', place='', remedy=''): print('held', flush=True); sys.stdin.read()"


def test_a_second_process_is_told_which_one_holds_the_lock_until_that_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "folder/.lock"
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        holder.stdout.readline()
        with pytest.raises(MachineError) as caught, file_lock(path, "busy", place="here", remedy="wait"):
            pass
        assert str(caught.value) == f"error: here: busy (process {holder.pid})\nfix: wait"
        holder.kill()
    with file_lock(path, "busy", place="here", remedy="wait"):
        pass
    with file_lock(path, "busy", place="here", remedy="wait"):
        pass
