// Nothing: a target needs a source to precompile headers (cmake/holdfast.cmake).
