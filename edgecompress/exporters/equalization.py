def equalize(model, recipe, batches, progress):
    raise NotImplementedError
