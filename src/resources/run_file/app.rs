//! One app of a run file: its own settings over the common ones, and the paths it ends up with.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use crate::resources::{
    Environment,
    error::{Place, Problem},
    fields::{Field, Fields, Findings},
    run_file::{
        AppRun, LogDestination,
        settings::{self, Kind, Settings},
    },
};

/// Settings of an app that are flags of its sidecar.
const FLAGS: &[(&str, &str, Kind)] = &[
    ("appChannelAddress", "app-channel-address", Kind::Text),
    ("appPort", "app-port", Kind::Number),
    ("daprInternalGRPCPort", "dapr-internal-grpc-port", Kind::Number),
    ("profilePort", "profile-port", Kind::Number),
];

/// Settings of an app that mean something in Kubernetes only.
const KUBERNETES: [&str; 3] = ["containerImage", "containerImagePullPolicy", "createService"];

/// What every app is read with.
pub(super) struct Reading<'a> {
    /// The file's folder.
    pub(super) folder: &'a Path,
    /// What holds for every app.
    pub(super) common: &'a Settings,
    /// Where the default folders are looked up.
    pub(super) environment: &'a dyn Environment,
}

impl Reading<'_> {
    /// The app; `None` if its folder is not there, which is noted.
    pub(super) fn app(&self, item: &Field<'_>, findings: &mut Findings<'_>) -> Option<AppRun> {
        let mut fields = item.fields(findings);
        let place = findings.place(item.node.at, item.path.clone());
        let directory = self.directory(&mut fields, &place, findings);
        let own_folder = directory.clone().unwrap_or_default();
        let own = Settings::read(&mut fields, &own_folder, findings);
        let mut flags = settings::flags(FLAGS, &mut fields, findings);
        let id = fields.text("appID", findings).map(|id| id.text).filter(|id| !id.is_empty());
        let command = fields.texts("command", findings).into_iter().map(|it| it.text).collect();
        let http_port = port("daprHTTPPort", &mut fields, findings);
        let grpc_port = port("daprGRPCPort", &mut fields, findings);
        let metrics_port = port("metricsPort", &mut fields, findings);
        for name in KUBERNETES {
            fields.skip(name, findings);
        }
        if let Some(place) = fields.skip("unixDomainSocket", findings) {
            let message = "is not served in a run of several apps; leave it out, and the app finds \
                           its sidecar by DAPR_HTTP_PORT and DAPR_GRPC_PORT";
            findings.shape.push(Problem { place: Some(place), message: message.to_owned() });
        }
        fields.finish(findings);

        let directory = directory?;
        flags.extend(merged(&self.common.flags, &own.flags));
        let mut flags: Vec<String> =
            flags.into_iter().map(|(name, value)| format!("--{name}={value}")).collect();
        flags.extend(self.path_flags(&directory, &own));
        let name = || directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Some(AppRun {
            id: id.unwrap_or_else(name),
            place,
            command,
            environment: merged(&self.common.environment, &own.environment).into_iter().collect(),
            flags,
            http_port,
            grpc_port,
            metrics_port,
            app_log: own.app_log.or(self.common.app_log).unwrap_or(LogDestination::FileAndConsole),
            sidecar_log: own
                .sidecar_log
                .or(self.common.sidecar_log)
                .unwrap_or(LogDestination::File),
            directory,
        })
    }

    fn directory(
        &self,
        fields: &mut Fields<'_>,
        place: &Place,
        findings: &mut Findings<'_>,
    ) -> Option<PathBuf> {
        let Some(text) = fields.text("appDirPath", findings).filter(|text| !text.text.is_empty())
        else {
            let mut place = place.clone();
            place.field.push_str(".appDirPath");
            let message = "is missing".to_owned();
            findings.shape.push(Problem { place: Some(place), message });
            return None;
        };
        let path = self.folder.join(&text.text);
        match path.canonicalize() {
            Ok(path) if path.is_dir() => Some(path),
            Ok(_) | Err(_) => {
                let message = format!("{} is no folder", path.display());
                findings.shape.push(Problem { place: Some(text.place), message });
                None
            }
        }
    }

    /// The folders and the file of the first who names any: the app, its folder, `common`, the
    /// CLI's own folder. Where there is nothing the sidecar has its embedded store.
    fn path_flags(&self, directory: &Path, own: &Settings) -> Vec<String> {
        let base = own.base.clone().or_else(|| self.common.base.clone()).or_else(|| {
            let folder = |name| self.environment.variable(name).filter(|text| !text.is_empty());
            folder("DAPR_RUNTIME_PATH").or_else(|| folder("HOME")).map(PathBuf::from)
        });
        let there = |path: PathBuf| path.exists().then_some(path);
        let of_cli =
            |name: &str| base.as_ref().and_then(|base| there(base.join(".dapr").join(name)));
        let resources = if !own.resources.is_empty() {
            own.resources.clone()
        } else if let Some(path) = there(directory.join(".dapr/resources")) {
            vec![path]
        } else if !self.common.resources.is_empty() {
            self.common.resources.clone()
        } else {
            of_cli("components").into_iter().collect()
        };
        let config = own
            .config
            .clone()
            .or_else(|| there(directory.join(".dapr/config.yaml")))
            .or_else(|| self.common.config.clone())
            .or_else(|| of_cli("config.yaml"));
        let mut flags: Vec<String> =
            resources.iter().map(|it| flag("resources-path", it)).collect();
        flags.extend(config.map(|it| flag("config", &it)));
        if resources.is_empty() {
            flags.push("--embedded=true".to_owned());
        }
        flags
    }
}

fn flag(name: &str, path: &Path) -> String {
    format!("--{name}={}", path.display())
}

/// The second's values over those of the first.
fn merged<K: Clone + Ord>(
    first: &BTreeMap<K, String>,
    second: &BTreeMap<K, String>,
) -> BTreeMap<K, String> {
    let mut all = first.clone();
    all.extend(second.clone());
    all
}

/// A port; 0 and less ask for a free one, as no port does.
fn port(name: &'static str, fields: &mut Fields<'_>, findings: &mut Findings<'_>) -> Option<u16> {
    let number = fields.integer(name, findings).filter(|number| number.value > 0)?;
    match u16::try_from(number.value) {
        Ok(port) => Some(port),
        Err(_) => {
            let message = format!("{} is no port", number.value);
            findings.shape.push(Problem { place: Some(number.place), message });
            None
        }
    }
}
