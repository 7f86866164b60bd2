"""Workers that are forked while other threads enter Python start, on every Python (python/cpython#112275)."""

import subprocess
import sys
import sysconfig

from helpers.cuda_emulator import require_compiler

# Threads that Python does not know of enter and leave it, as torch's do when they drop what Python owns.
THREADS = """
#include <Python.h>
#include <thread>
extern "C" void enter(int threads, int times) {
  while (threads--)
    std::thread([=] { for (int i = 0; i < times; ++i) PyGILState_Release(PyGILState_Ensure()); }).detach();
}
"""

# Without the wait before a fork about one of two hundred such processes hangs, on a Python with the fault.
FORKS = """
import ctypes, os, sys, time
import mmdet3d_plugin
library = ctypes.CDLL(sys.argv[1])
for _ in range(300):
    library.enter(4, 500)
    child = os.fork()
    if not child:
        os._exit(0)
    end = time.monotonic() + 20
    while not os.waitpid(child, os.WNOHANG)[0]:
        if time.monotonic() > end:
            os.kill(child, 9)
            sys.exit('a forked process hangs')
        time.sleep(0.001)
"""


def test_every_forked_process_starts(tmp_path):
    library = tmp_path / 'threads.so'
    include = sysconfig.get_path('include')
    words = [*require_compiler(), '-x', 'c++', '-', '-shared', '-fPIC', '-pthread', f'-I{include}', '-o', str(library)]
    subprocess.run(words, input=THREADS, text=True, check=True)
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', FORKS, str(library)], stderr=subprocess.PIPE, text=True
    )
    assert done.returncode == 0, done.stderr
