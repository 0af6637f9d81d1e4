"""Networks of other libraries by their names: ``hf:NAME_OR_FOLDER`` and ``timm:NAME_OR_FOLDER``."""
