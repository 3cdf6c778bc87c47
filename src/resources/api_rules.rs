//! `spec.api` of a Configuration: which parts of the API are open, for each protocol.

use crate::{
    edge::access::{Access, ApiName},
    resources::{
        fields::{Field, Fields, Findings},
        report::Report,
    },
};

/// The rules of each protocol.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiRules {
    /// Those for HTTP.
    pub http: Access,
    /// Those for gRPC.
    pub grpc: Access,
}

/// Reads `api`; a list replaces that of the file before.
pub fn read(
    spec: &mut Fields<'_>,
    findings: &mut Findings<'_>,
    rules: &mut ApiRules,
    report: &mut Report,
) {
    let mut api = spec.map("api", findings);
    if let Some(list) = api.get("allowed", findings) {
        (rules.http.allowed, rules.grpc.allowed) = read_list(&list, findings, report);
    }
    if let Some(list) = api.get("denied", findings) {
        (rules.http.denied, rules.grpc.denied) = read_list(&list, findings, report);
    }
    api.finish(findings);
}

/// The rules for HTTP and those for gRPC.
fn read_list(
    list: &Field<'_>,
    findings: &mut Findings<'_>,
    report: &mut Report,
) -> (Vec<ApiName>, Vec<ApiName>) {
    let (mut http, mut grpc) = (Vec::new(), Vec::new());
    for item in list.items(findings) {
        let mut fields = item.fields(findings);
        let mut text = |name| fields.text(name, findings).map(|found| found.text);
        let (name, version, protocol) = (text("name"), text("version"), text("protocol"));
        fields.finish(findings);
        let rule = ApiName { name: name.unwrap_or_default(), version: version.unwrap_or_default() };
        let place = findings.place(item.node.at, item.path);
        if rule.name.is_empty() || rule.version.is_empty() {
            report.refuse_if_strict(
                place.clone(),
                "a rule without a name or a version means nothing",
            );
        }
        // daprd takes HTTP in any letters and gRPC in these.
        match protocol.unwrap_or_default() {
            word if word.eq_ignore_ascii_case("http") => http.push(rule),
            word if word == "grpc" => grpc.push(rule),
            word => report.refuse_if_strict(
                place,
                format!("protocol {word:?} means nothing; valid are http and grpc"),
            ),
        }
    }
    (http, grpc)
}
