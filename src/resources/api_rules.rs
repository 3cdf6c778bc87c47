//! `spec.api` of a Configuration: which parts of the API are open, for each protocol.

use crate::{
    edge::access::{Access, ApiName},
    resources::{
        fields::{Field, Fields, Findings, Text},
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
        let mut text = |name| fields.text(name, findings);
        let (name, version, protocol) = (text("name"), text("version"), text("protocol"));
        fields.finish(findings);
        let said = |found: Option<Text>| found.map(|found| found.text).unwrap_or_default();
        let rule = ApiName { name: said(name), version: said(version) };
        let place = findings.place(item.node.at, item.path);
        if rule.name.is_empty() || rule.version.is_empty() {
            report.refuse_if_strict(
                place.clone(),
                "a rule without a name or a version means nothing",
            );
        }
        let at = protocol.as_ref().map_or(place, |found| found.place.clone());
        // daprd takes HTTP in any letters and gRPC in these. Others are not shown: a variable may
        // stand there.
        match said(protocol) {
            word if word.eq_ignore_ascii_case("http") => http.push(rule),
            word if word == "grpc" => grpc.push(rule),
            _ => report.refuse_if_strict(at, "the protocol means nothing; valid are http and grpc"),
        }
    }
    (http, grpc)
}
