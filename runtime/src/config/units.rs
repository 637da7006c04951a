//! Times and sizes as people write them: `10s`, `14d`, `64MiB`.
