"""The art: neural style transfer after Gatys et al., for people with their own scripts.

Import what is needed from its modules (`nst_core.stylize`, `nst_core.pictures`,
`nst_core.settings`, ...); importing this package alone loads no TensorFlow.
"""
