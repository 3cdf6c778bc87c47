#![no_main]

use std::sync::LazyLock;

use tempfile::TempDir;

/// Written over again and again; what a crash leaves is the input, which libFuzzer keeps.
static FOLDER: LazyLock<TempDir> =
    LazyLock::new(|| tempfile::tempdir().expect("a folder for the files"));

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    outrigger::fuzzing::yaml_written(FOLDER.path(), input);
});
