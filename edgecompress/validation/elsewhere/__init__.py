"""The artifact at other places: on other CPUs, in a browser, and on runtimes of other packages."""
