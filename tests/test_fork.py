"""Workers that are forked while other threads enter Python start, on every Python (python/cpython#112275)."""

import subprocess
import sys
import sysconfig

from helpers.cuda_emulator import require_compiler

FORKS = 60

# Threads that Python does not know of enter and leave it all the time, as torch's do when they drop what Python owns.
THREADS = """
#include <Python.h>
#include <thread>
extern "C" void start(int count) {
  while (count--) std::thread([] { for (;;) PyGILState_Release(PyGILState_Ensure()); }).detach();
}
"""

FORK = """
import ctypes, os, sys, time
{first}
ctypes.CDLL(sys.argv[1]).start(12)
stuck = 0
for _ in range({forks}):
    child = os.fork()
    if not child:
        os._exit(0)
    end = time.monotonic() + 10
    while not stuck and not os.waitpid(child, os.WNOHANG)[0]:
        stuck = time.monotonic() > end
        time.sleep(0.001)
    if stuck:
        os.kill(child, 9)
        break
print('stuck' if stuck else 'started', flush=True)
os._exit(0)
"""


def test_every_forked_process_starts(tmp_path):
    library = tmp_path / 'threads.so'
    include = sysconfig.get_path('include')
    words = [*require_compiler(), '-x', 'c++', '-', '-shared', '-fPIC', '-pthread', f'-I{include}', '-o', str(library)]
    subprocess.run(words, input=THREADS, text=True, check=True)
    code = FORK.format(first='import mmdet3d_plugin', forks=FORKS)
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', code, str(library)], capture_output=True, text=True, timeout=300
    )
    assert (done.stdout, done.stderr) == ('started\n', '')
