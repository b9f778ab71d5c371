"""One file per data set.

A module has `Options` (a typed model), and

- `domains(options)`: the names of its domains, without `-`;
- `classes(options)`: the names of its classes where they are known before anything is prepared, else None;
- `official_tasks(options)`: the tasks that have an official split; usually none;
- `prepare(domain, options, files)`: a domain with its train and test samples, as a `finecal.data.packed.PackedImages`;
  or, for image files, as a `finecal.data.image_files.ImageFiles`, which is then decoded and packed; its `Options` are
  then a `finecal.datasets._stored.Stored`. `files` is a `finecal.download.spec.Files`: the folder with the downloads,
  and a scratch folder for what is in archives.

What it may say besides of its domains, for example that one has no images or not all classes: see
`finecal.data.dataset`.

One that comes from the network also has

- `downloads(domain, options)`: the files that a domain is made from, `finecal.download.spec.Download`s. They are kept
  in `resources/{module}/`, whatever the options; a name stands for the same bytes always;
- `LICENCE` and `CITATION`: texts for docs and users.

`sizes(domain, options)`, (training samples, test samples, classes), lets `finecal check` say what a study takes.

One with an official split says which classes are in S, and where that is written: see `finecal.config.official_splits`.

Its imports at the top are light: the module is loaded to check a study.
"""
