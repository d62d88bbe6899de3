"""Neural style transfer (Gatys et al.) as a library for your own scripts.

Import what you need from its modules (`nst_core.transfer.stylize`, `nst_core.images.pictures`,
`nst_core.transfer.settings`, ...). Importing this package alone does not load TensorFlow.
"""
