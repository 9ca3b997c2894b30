"""The commands of ``stadtpass`` that work on the register, one module each."""
