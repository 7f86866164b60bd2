"""Reading of object arrays (``np.save`` of a dict) without running whatever a pickle asks for."""

import pickle

import numpy as np

# numpy moved `core` to `_core` in 2.0; files written by either name it.
_ARRAY_MODULES = ('numpy.core.multiarray', 'numpy._core.multiarray')
_ALLOWED = {
    **{(module, '_reconstruct'): np.empty(0).__reduce__()[0] for module in _ARRAY_MODULES},
    **{(module, 'scalar'): np.float32(0).__reduce__()[0] for module in _ARRAY_MODULES},
    ('numpy', 'ndarray'): np.ndarray,
    ('numpy', 'dtype'): np.dtype,
}


class UnsafePickleError(ValueError):
    """A pickle that asks for more than numpy arrays, scalars and plain containers."""


class _ArrayUnpickler(pickle.Unpickler):
    """Unpickler that knows numpy's arrays, dtypes and scalars and nothing else."""

    def find_class(self, module, name):
        if (module, name) not in _ALLOWED:
            raise UnsafePickleError(f'its pickle asks for {module}.{name}; only numpy arrays and plain values are read')
        return _ALLOWED[module, name]

    def persistent_load(self, pid):
        raise UnsafePickleError(f'its pickle asks for the external object {pid!r}')


def load_object_array(stream):
    """The single object in a ``.npy`` file of shape ``()`` and dtype object, as ``np.save`` writes a dict.

    Args:
        stream (BinaryIO): Open file, at its start.

    Returns:
        object: Containers, numbers, strings and numpy arrays only.

    Raises:
        UnsafePickleError: The pickle asks for any other class or function; nothing of it was called.
        ValueError: Not a ``.npy`` file, not one with a single object, or damaged.
    """
    version = np.lib.format.read_magic(stream)
    read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(
        version
    )
    if read_header is None:
        raise ValueError(f'unknown .npy version {version}')
    shape, _, dtype = read_header(stream)
    if shape != () or dtype != np.dtype(object):
        raise ValueError(f'expected a single object, found an array of shape {shape} and dtype {dtype}')
    try:
        array = _ArrayUnpickler(stream).load()
    except UnsafePickleError:
        raise
    except Exception as error:  # a damaged pickle can raise anything
        raise ValueError(f'its pickle cannot be read: {error}') from error
    if not isinstance(array, np.ndarray) or array.shape != ():
        raise ValueError('its pickle does not hold a single object')
    return array.item()
