"""DATA that is a folder of pictures: what lies in it, and how it becomes inputs and targets."""
