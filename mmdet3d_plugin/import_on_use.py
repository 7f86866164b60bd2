"""Libraries that others import on the way and that runs never use: imported at the first use instead.

mmdet, mmdet3d and the nuScenes devkit import matplotlib, pandas, scikit-learn, numba and more at their heads, for
drawings, other data sets and other assigners. That is half of the time until a run starts. Inside
:func:`import_on_use` such an import gives a stand-in, which imports the real module as soon as somebody uses it. After
the block the names import as ever.
"""

import contextlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
import types
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def import_on_use(*modules: str) -> Iterator[None]:
    """Inside the block, imports of these modules, and of what is below them, give stand-ins.

    A module that is imported already, or whose package is not installed, is left alone.

    Args:
        *modules: ``package`` or ``package.module``; packages above one are imported with the first import of it.
    """
    waiting = [name for name in modules if name not in sys.modules and importlib.util.find_spec(name.split('.')[0])]
    finder = _Finder(waiting)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in waiting:
            finder.give_way(name)


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds stand-ins for some modules and what is below them."""

    def __init__(self, waiting):
        self._waiting = set(waiting)

    def waits(self, fullname):
        """The name on whose account a module is not imported yet; None for any other module."""
        return next((name for name in self._waiting if f'{fullname}.'.startswith(f'{name}.')), None)

    def find_spec(self, fullname, path=None, target=None):
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True) if self.waits(fullname) else None

    def create_module(self, spec):
        return _StandInModule(spec.name, self)

    def exec_module(self, module):
        """A stand-in has nothing to run."""

    def give_way(self, fullname):
        """From now on a module, and what waits with it, imports as ever."""
        name = self.waits(fullname)
        if name is None:
            return
        self._waiting.remove(name)
        for below in [other for other in sys.modules if f'{other}.'.startswith(f'{name}.')]:
            del sys.modules[below]
        parent, _, child = name.rpartition('.')
        vars(sys.modules.get(parent, self)).pop(child, None)


class _StandInModule(types.ModuleType):
    """Looks like a module; its attributes are the real one's once there is no block around any more."""

    def __init__(self, name, finder):
        super().__init__(name)
        self.__dict__['_finder'] = finder

    def __getattr__(self, name):
        if name.startswith('__') and name != '__version__':  # what the import system and inspect ask any module for
            raise AttributeError(f'stand-in of {self.__name__} has no {name}')
        if self._finder.waits(self.__name__) and name != '__version__':  # ``from module import name``
            return _StandIn(self.__name__, name, self._finder)
        self._finder.give_way(self.__name__)
        return _find(self.__name__, name)


class _StandIn:
    """A class, function, module or table of a module that is not imported yet."""

    def __init__(self, module, name, finder):
        self.__dict__.update(_module=module, _name=name, _finder=finder)

    def _real(self) -> Any:
        self._finder.give_way(self._module)
        return _find(self._module, self._name)

    def __call__(self, *args, **kwargs):
        return self._real()(*args, **kwargs)

    def __getattr__(self, name):
        return getattr(self._real(), name)

    def __setattr__(self, name, value):
        setattr(self._real(), name, value)

    def __getitem__(self, key):
        return self._real()[key]

    def __setitem__(self, key, value):
        self._real()[key] = value

    def __instancecheck__(self, instance):
        return isinstance(instance, self._real())

    def __subclasscheck__(self, other):
        return issubclass(other, self._real())

    def __mro_entries__(self, bases):
        return (self._real(),)


def _find(module, name):
    """What ``from module import name`` would give."""
    real = importlib.import_module(module)
    return getattr(real, name) if hasattr(real, name) else importlib.import_module(f'{module}.{name}')
