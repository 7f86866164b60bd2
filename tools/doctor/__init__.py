"""The parts of tools/misc/doctor.py: what is looked at, file by file, and how it is told.

What needs torch or the libraries on top of it runs in a process of its own (``child.py``): a library that is broken may
end the process that imports it. All else uses the standard library alone.
"""
