use std::{collections::BTreeMap, fs, path::Path};

use tempfile::TempDir;

use super::{LogDestination, RunFile, load};

fn folder(yaml: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("dapr.yaml"), yaml).unwrap();
    for app in ["one", "two"] {
        fs::create_dir(folder.path().join(app)).unwrap();
    }
    folder
}

fn loaded(folder: &Path, variables: &[(&str, &str)]) -> RunFile {
    let variables: BTreeMap<String, String> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    load(folder.to_str().unwrap(), &variables).unwrap()
}

fn problems(yaml: &str) -> Vec<String> {
    let folder = folder(yaml);
    let errors = load(folder.path().to_str().unwrap(), &BTreeMap::new()).unwrap_err();
    let root = format!("{}/", folder.path().display());
    errors.problems().iter().map(|problem| problem.to_string().replace(&root, "")).collect()
}

#[test]
fn an_app_s_settings_win_over_the_common_ones() {
    let folder = folder(
        "version: 1\nname: pair\ncommon:\n  env:\n    A: common\n    B: 5\n  logLevel: debug\n  \
         maxBodySize: 8Mi\n  appLogDestination: console\napps:\n  - appDirPath: one\n    \
         appID: first\n    command: [sh, -c, true]\n    env:\n      A: own\n    \
         logLevel: warn\n    daprHTTPPort: 3510\n    appPort: 8080\n    enableApiLogging: true\n  \
         - appDirPath: ./two/\n    daprdLogDestination: fileAndConsole\n    metricsPort: -1\n",
    );
    let run = loaded(folder.path(), &[]);
    assert_eq!(run.name, "pair");
    assert_eq!(run.path, Some(folder.path().join("dapr.yaml")));
    let [first, second] = run.apps.as_slice() else { panic!("{:?}", run.apps) };
    assert_eq!((first.id.as_str(), second.id.as_str()), ("first", "two"));
    assert_eq!(first.command, ["sh", "-c", "true"]);
    assert_eq!(second.command, Vec::<String>::new());
    let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(first.environment, [variable("A", "own"), variable("B", "5")]);
    assert_eq!(second.environment, [variable("A", "common"), variable("B", "5")]);
    let flags = [
        "--app-port=8080",
        "--enable-api-logging=true",
        "--log-level=warn",
        "--max-body-size=8Mi",
        "--embedded=true",
    ];
    assert_eq!(first.flags, flags);
    assert_eq!((first.http_port, first.grpc_port, second.metrics_port), (Some(3510), None, None));
    assert_eq!(first.app_log, LogDestination::Console);
    assert_eq!(first.sidecar_log, LogDestination::File);
    assert_eq!(second.sidecar_log, LogDestination::FileAndConsole);
    assert_eq!(second.directory, folder.path().join("two").canonicalize().unwrap());
}

#[test]
fn paths_come_from_the_first_who_names_one() {
    let yaml =
        |common: &str, app: &str| format!("version: 1\n{common}apps:\n- appDirPath: one\n{app}");
    let common = "common:\n  resourcesPaths: [shared, more]\n  configFilePath: c.yaml\n";
    let app = "  resourcesPath: mine\n  configFilePath: mine.yaml\n";
    let flags = |common: &str, app: &str, local: bool| -> Vec<String> {
        let folder = folder(&yaml(common, app));
        let root = folder.path().canonicalize().unwrap();
        let home = root.join("home/.dapr");
        fs::create_dir_all(home.join("components")).unwrap();
        fs::write(home.join("config.yaml"), "").unwrap();
        if local {
            fs::create_dir_all(root.join("one/.dapr/resources")).unwrap();
            fs::write(root.join("one/.dapr/config.yaml"), "").unwrap();
        }
        let home = root.join("home");
        let run = loaded(&root, &[("HOME", home.to_str().unwrap())]);
        let root = format!("{}/", root.display());
        run.apps[0].flags.iter().map(|flag| flag.replace(&root, "")).collect()
    };
    assert_eq!(flags(common, app, true), ["--resources-path=one/mine", "--config=one/mine.yaml"]);
    assert_eq!(
        flags(common, "", true),
        ["--resources-path=one/.dapr/resources", "--config=one/.dapr/config.yaml"]
    );
    assert_eq!(
        flags(common, "", false),
        ["--resources-path=shared", "--resources-path=more", "--config=c.yaml"]
    );
    assert_eq!(
        flags("", "", false),
        ["--resources-path=home/.dapr/components", "--config=home/.dapr/config.yaml"]
    );
    let elsewhere = "common:\n  runtimePath: elsewhere\n";
    assert_eq!(flags(elsewhere, "", false), ["--embedded=true"]);
}

#[test]
fn every_problem_names_its_line_and_field() {
    let found = problems(
        "version: 0\ncommon:\n  logLevl: debug\napps:\n  - appID: a\n  - appDirPath: nowhere\n  \
         - appDirPath: one\n    appPort: many\n    daprHTTPPort: 70000\n    \
         appLogDestination: files\n  - appDirPath: two\n    appID: one\n  - appDirPath: two\n    \
         appID: one\n    unixDomainSocket: /tmp\n",
    );
    let expected = [
        "dapr.yaml:1:10: version: must not be 0",
        "dapr.yaml:3:3: common.logLevl: unknown field",
        "dapr.yaml:5:5: apps[0].appDirPath: is missing",
        "dapr.yaml:6:17: apps[1].appDirPath: nowhere is no folder",
        "dapr.yaml:8:14: apps[2].appPort: expected a whole number, found a text",
        "dapr.yaml:9:19: apps[2].daprHTTPPort: 70000 is no port",
        "dapr.yaml:10:24: apps[2].appLogDestination: found \"files\"; valid are",
        "dapr.yaml:11:5: apps[3]: another app has the id \"one\" already",
        "dapr.yaml:13:5: apps[4]: another app has the id \"one\" already",
        "dapr.yaml:15:23: apps[4].unixDomainSocket: is not served",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found} is not {expected}");
    }
    assert!(found[1].contains("did you mean \"logLevel\"?"), "{}", found[1]);
}

#[test]
fn a_file_that_cannot_be_meant_is_refused() {
    for (yaml, expected) in [
        ("", "dapr.yaml:1:1: says nothing"),
        ("apps: []\nversion: 1\n", "dapr.yaml:1:1: apps: names no app"),
        ("version: 1\napps: [\n", "not YAML"),
        ("version: 1\n---\nversion: 1\n", "dapr.yaml:3:1: a run file has one document only"),
        ("apps:\n- appDirPath: one\n", "version: is missing"),
    ] {
        let found = problems(yaml);
        assert!(found.iter().any(|it| it.contains(expected)), "{yaml}: {found:?}");
    }
    for (given, expected) in
        [("/nowhere/dapr.yaml", "no such file"), ("/etc/hostname", "neither a .yaml")]
    {
        let errors = load(given, &BTreeMap::new()).unwrap_err().to_string();
        assert!(errors.contains(expected), "{errors}");
    }
}

#[test]
fn no_problem_shows_a_variable_s_value() {
    let found = problems(
        "version: 1\napps:\n- appDirPath: one\n  env:\n    PASSWORD: [hidden]\n    B: {c: hidden}\n",
    );
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.iter().all(|it| !it.contains("hidden")), "{found:?}");
}
