"""Neural style transfer (Gatys et al.) as a library for your own scripts.

Import what you need from its modules (`nst_core.stylize`, `nst_core.pictures`,
`nst_core.settings`, ...). Importing this package alone does not load TensorFlow.
"""
