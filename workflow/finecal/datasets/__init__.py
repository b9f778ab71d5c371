"""One file per data set.

A module has `Options` (a typed model), and

- `domains(options)`: the names of its domains, without `-`;
- `classes(options)`: the names of its classes where they are known before anything is prepared, else None;
- `official_tasks(options)`: the tasks that have an official split; usually none;
- `prepare(domain, options)`: a `finecal.images.PackedImages` with train and test samples.

Its imports at the top are light: the module is loaded to check a study.
"""
