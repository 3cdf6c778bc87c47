//! What docs/ci.md, the Dockerfile and the Kubernetes manifest say works, as far as it can be tried
//! without an engine and a cluster.

mod yaml;

use std::{
    fs,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use nix::{sys::signal::Signal, unistd::Pid};
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{
    canary, eventually, http,
    ports::free_port,
    process::Process,
    redis::Redis,
    sidecar::{APP_ID, Setup},
};

const OUTRIGGER: &str = env!("CARGO_BIN_EXE_outrigger");

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn document(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The fenced blocks of a language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let fence = format!("\n```{language}\n");
    let parts = text.split(&fence).skip(1);
    parts.map(|part| part.split("\n```").next().expect("an end").to_owned() + "\n").collect()
}

/// Ends whatever a script left in its process group.
struct Group(Pid);

impl Drop for Group {
    fn drop(&mut self) {
        let _ = nix::sys::signal::killpg(self.0, Signal::SIGKILL);
    }
}

#[test]
fn the_commands_of_the_ci_page_work_one_after_the_other() {
    let redis = Redis::start();
    let blocks = blocks(&document("docs/ci.md"), "sh");
    let (install, script) = blocks.split_first().expect("blocks");
    assert_eq!(install, "cargo install --locked --path .\n", "make install-check runs this");
    let folder = tempfile::tempdir().expect("a folder");
    let path = std::env::var("PATH").expect("a PATH");
    let bin = Path::new(OUTRIGGER).parent().expect("a parent").display();
    let mut command = Command::new("sh");
    command.args(["-euxc", &script.concat()]).current_dir(folder.path()).process_group(0);
    command.env_clear().env("PATH", format!("{bin}:{path}")).env("HOME", folder.path());
    command.env("REDIS_PORT", redis.port.to_string()).env("REDIS_PASSWORD", canary::PASSWORD);
    command.env("HTTP_PORT", free_port().to_string()).env("GRPC_PORT", free_port().to_string());
    let mut process = Process::spawn("ci.md", &mut command);
    let _group = Group(process.pid());
    assert_eq!(process.exit_code(), 0, "{}", process.text());
    let text = process.text();
    assert!(text.contains("== APP == got {\"orderId\":42}\n"), "{text}");
    // The second time beside a sidecar that was started by itself.
    assert!(text.lines().any(|line| line == "got {\"orderId\":42}"), "{text}");
    assert!(text.contains("app stopped: ci\n"), "{text}");
    assert_eq!(redis.field("ci||order", "data"), Some("{\"orderId\":42}".to_owned()));
}

#[test]
fn the_job_of_the_ci_page_runs_the_page_s_commands() {
    let page = document("docs/ci.md");
    let commands = blocks(&page, "sh").concat();
    let job = yaml::documents(&blocks(&page, "yaml").concat()).remove(0);
    let steps = job["jobs"]["test"]["steps"].as_array().expect("steps");
    let runs: Vec<&str> = steps.iter().filter_map(|step| step["run"].as_str()).collect();
    assert_eq!(runs.len(), 2, "{runs:?}");
    for run in runs {
        assert!(commands.lines().any(|line| line == run), "{run} is not one of the page's");
    }
    assert_eq!(job["jobs"]["test"]["services"]["redis"]["ports"][0], "6379:6379");
}

/// The instructions of the Dockerfile: the word and what stands behind it.
fn instructions() -> Vec<(String, String)> {
    let text = document("Dockerfile");
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let split = |line: &str| line.split_once(' ').map(|(a, b)| (a.to_owned(), b.to_owned()));
    lines.map(|line| split(line).expect("an instruction and its words")).collect()
}

fn instruction(name: &str) -> String {
    let mut found = instructions().into_iter().filter(|(word, _)| word == name);
    found.next_back().unwrap_or_else(|| panic!("no {name}")).1
}

/// A list in the form that no shell reads.
fn words(text: &str) -> Vec<String> {
    let list = &text[text.find('[').expect("a list")..];
    serde_json::from_str(list).expect("a list of words")
}

#[test]
fn what_the_image_is_built_from_is_there_and_complete() {
    // What the build stage sees, and nothing else.
    let context = tempfile::tempdir().expect("a folder");
    let ignored = document(".dockerignore");
    for (_, words) in instructions().iter().filter(|(word, _)| word == "COPY") {
        if words.starts_with("--from=") {
            continue;
        }
        let mut names: Vec<&str> = words.split(' ').collect();
        names.pop();
        for name in names {
            let line = format!("!{name}");
            assert!(ignored.lines().any(|it| it == line), ".dockerignore leaves {name} out");
            let mut copy = Command::new("cp");
            copy.arg("-r").arg(root().join(name)).arg(context.path());
            assert!(copy.status().expect("cp runs").success(), "{name}");
        }
    }
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--locked", "--offline", "--no-deps", "--format-version", "1"]);
    let output = cargo.current_dir(context.path()).output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let targets: Vec<&Value> = packages
        .iter()
        .flat_map(|package| package["targets"].as_array().expect("targets"))
        .collect();
    for target in &targets {
        let path = target["src_path"].as_str().expect("a path");
        assert!(Path::new(path).exists(), "{path} is not copied");
    }
    assert!(
        targets.iter().any(|target| target["name"] == "outrigger" && target["kind"][0] == "bin")
    );

    let toolchain = document("rust-toolchain.toml");
    let channel = toolchain.split("channel = \"").nth(1).and_then(|it| it.split('"').next());
    let image = instructions().remove(0).1;
    let version = image.strip_prefix("rust:").and_then(|it| it.split('-').next()).expect("Rust");
    assert!(channel.is_some_and(|it| it.starts_with(version)), "{image} and {channel:?}");
    let build = instructions().into_iter().find(|(_, words)| words.starts_with("cargo build"));
    let build = build.expect("a build").1;
    let profile = build.split("--profile ").nth(1).and_then(|it| it.split(' ').next());
    let profile = profile.expect("a profile");
    assert!(document("Cargo.toml").contains(&format!("\n[profile.{profile}]\n")));
    let copied = format!("/target/{profile}/outrigger /outrigger");
    assert!(instructions().iter().any(|(word, it)| word == "COPY" && it.ends_with(&copied)));
}

#[test]
fn the_image_runs_as_nobody_and_its_health_check_works() {
    assert_eq!(instructions().iter().rfind(|(word, _)| word == "FROM").expect("FROM").1, "scratch");
    let user = instruction("USER");
    let ids: Vec<u32> = user.split(':').map(|id| id.parse().expect("a number")).collect();
    assert!(ids.len() == 2 && ids.iter().all(|id| *id > 0), "{user}");
    assert_eq!(words(&instruction("ENTRYPOINT")), ["/outrigger"]);
    let check = words(&instruction("HEALTHCHECK"));
    assert_eq!(check[0], "/outrigger");
    let sidecar = Setup::default().start();
    let asked = |port: u16| {
        let mut command = Command::new(OUTRIGGER);
        command.env_clear().args(&check[1..]).env("DAPR_HTTP_PORT", port.to_string());
        command.status().expect("it runs").code()
    };
    assert_eq!(asked(sidecar.http_port), Some(0));
    assert_eq!(asked(free_port()), Some(1));
    sidecar.finish();
}

/// The documents of the manifest.
struct Manifest {
    config_map: Value,
    deployment: Value,
}

impl Manifest {
    fn read() -> Self {
        let documents = yaml::documents(&document("docs/kubernetes.yaml"));
        let of_kind = |kind: &str| {
            let mut found = documents.iter().filter(|document| document["kind"] == kind);
            let found = (found.next().cloned(), found.next());
            found.0.filter(|_| found.1.is_none()).unwrap_or_else(|| panic!("not one {kind}"))
        };
        Self { config_map: of_kind("ConfigMap"), deployment: of_kind("Deployment") }
    }

    fn pod(&self) -> &Value {
        &self.deployment["spec"]["template"]["spec"]
    }

    fn sidecar(&self) -> &Value {
        &self.pod()["initContainers"][0]
    }

    fn app(&self) -> &Value {
        &self.pod()["containers"][0]
    }

    /// The resources as the mounted folder has them, with a Redis that exists.
    fn resources(&self, redis: &Redis) -> TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in self.config_map["data"].as_object().expect("files") {
            let text = text.as_str().expect("a text");
            let text = text.replace("redis:6379", &format!("127.0.0.1:{}", redis.port));
            fs::write(folder.path().join(name), text).expect("a file");
        }
        folder
    }
}

fn texts(list: &Value) -> Vec<String> {
    let items = list.as_array().expect("a list").iter();
    items.map(|item| item.as_str().expect("a text").to_owned()).collect()
}

fn variable<'a>(container: &'a Value, name: &str) -> &'a Value {
    let variables = container["env"].as_array().expect("variables");
    variables.iter().find(|variable| variable["name"] == name).unwrap_or(&Value::Null)
}

#[test]
fn the_names_in_the_manifest_fit_together() {
    let manifest = Manifest::read();
    let Manifest { config_map, deployment } = &manifest;
    assert_eq!(
        (&config_map["apiVersion"], &deployment["apiVersion"]),
        (&"v1".into(), &"apps/v1".into())
    );
    let labels = &deployment["spec"]["template"]["metadata"]["labels"];
    assert_eq!(&deployment["spec"]["selector"]["matchLabels"], labels);
    let volume = &manifest.pod()["volumes"][0];
    assert_eq!(volume["configMap"]["name"], config_map["metadata"]["name"]);
    let (sidecar, app) = (manifest.sidecar(), manifest.app());
    assert_eq!(sidecar["volumeMounts"][0]["name"], volume["name"]);
    assert_eq!(sidecar["restartPolicy"], "Always", "else it is no sidecar");
    let args = texts(&sidecar["args"]);
    let mount = sidecar["volumeMounts"][0]["mountPath"].as_str().expect("a path");
    assert!(args.contains(&format!("--resources-path={mount}")), "{args:?}");
    for (name, flag) in [("DAPR_HTTP_PORT", "dapr-http-port"), ("DAPR_GRPC_PORT", "dapr-grpc-port")]
    {
        let port = variable(app, name)["value"].as_str().expect("a text, as Kubernetes wants");
        assert!(args.contains(&format!("--{flag}={port}")), "{name} is {port}: {args:?}");
    }
    let user = instruction("USER");
    let context = &sidecar["securityContext"];
    assert_eq!(format!("{}:{}", context["runAsUser"], context["runAsGroup"]), user);
    for container in [sidecar, app] {
        assert!(container["resources"]["limits"]["memory"].is_string(), "{container}");
        assert_eq!(container["securityContext"]["allowPrivilegeEscalation"], false);
    }
    let grace = args.iter().find_map(|it| it.strip_prefix("--dapr-graceful-shutdown-seconds="));
    let grace: u64 = grace.and_then(|it| it.parse().ok()).expect("a grace");
    assert!(manifest.pod()["terminationGracePeriodSeconds"].as_u64().is_some_and(|it| it > grace));
}

#[test]
fn the_sidecar_of_the_manifest_starts_serves_and_passes_its_probes() {
    let manifest = Manifest::read();
    let redis = Redis::start();
    let resources = manifest.resources(&redis);
    let (http_port, grpc_port) = (free_port(), free_port());
    let here = |text: String| {
        text.replace("/resources", resources.path().to_str().expect("UTF-8"))
            .replace("3500", &http_port.to_string())
            .replace("50001", &grpc_port.to_string())
    };
    let args: Vec<String> = texts(&manifest.sidecar()["args"]).into_iter().map(here).collect();
    let secret = &variable(manifest.sidecar(), "REDIS_PASSWORD")["valueFrom"]["secretKeyRef"];
    assert!(secret["name"].is_string() && secret["key"].is_string(), "{secret}");
    let mut command = Command::new(OUTRIGGER);
    command.env_clear().args(&args).env("REDIS_PASSWORD", canary::PASSWORD);
    let mut sidecar = Process::spawn("outrigger", &mut command);
    for probe in ["startupProbe", "livenessProbe"] {
        let probe = texts(&manifest.sidecar()[probe]["exec"]["command"]);
        assert_eq!(PathBuf::from(&probe[0]), Path::new("/outrigger"));
        let words: Vec<String> = probe[1..].iter().cloned().map(here).collect();
        eventually("the probe passes", || {
            assert_eq!(sidecar.status(), None, "{}", sidecar.text());
            let status = Command::new(OUTRIGGER).env_clear().args(&words).status();
            status.expect("it runs").success()
        });
    }
    let body = format!(r#"[{{"key":"{}","value":"{}"}}]"#, canary::key("k8s"), canary::value("v"));
    let path = "/v1.0/state/statestore";
    // Its policies wait until Redis is connected.
    let saved = http::request("POST", http_port, path, &[], body.as_bytes()).expect("answered");
    assert_eq!(saved.status, 204, "{saved:?}");
    let stored = redis.field(&format!("{APP_ID}||{}", canary::key("k8s")), "data");
    assert_eq!(stored, Some(format!("\"{}\"", canary::value("v"))));
    sidecar.signal(Signal::SIGTERM);
    assert_eq!(sidecar.exit_code(), 0);
    assert!(sidecar.text().lines().all(|line| line.starts_with('{')), "{}", sidecar.text());
}
