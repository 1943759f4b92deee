//! `real_ip_header` and `real_ip_recursive` of a location, where they are others than its server's.

use super::draft::{Draft, Map};
use super::policies::filter;
use super::report::Report;
use super::scope::Scope;
use super::syntax::Directive;

/// Who asks, as this place is told; nothing where its listener knows.
pub fn real_ip(scope: &Scope, server: &Scope, report: &mut Report) -> Option<Draft> {
    let is_own = |name: &str| match (scope.one(name), server.one(name)) {
        (Some(said), Some(usual)) => said.place != usual.place,
        (said, _) => said.is_some(),
    };
    if !is_own("real_ip_header") && !is_own("real_ip_recursive") {
        return None;
    }
    let field = scope.one("real_ip_header");
    let trusted = networks(server);
    if trusted.is_empty() || networks(scope) != trusted || field.is_some_and(|field| field.word(0) == "proxy_protocol")
    {
        let said: Vec<&Directive> = field.into_iter().chain(scope.one("real_ip_recursive")).collect();
        said.iter().for_each(|said| {
            report.missing(
                said,
                "who is believed is one matter of a whole listener: say it in its server",
            );
        });
        return None;
    }
    let is_recursive = scope.is_on("real_ip_recursive", report) == Some(true);
    field.into_iter().for_each(|field| report.carried(field));
    let field = field.map_or("X-Real-IP", |field| field.word(0));
    let settings = Map::default().with("from", trusted).with("field", field);
    Some(filter("real_ip", settings.with("recursive", is_recursive)))
}

fn networks<'a>(scope: &Scope<'a>) -> Vec<&'a str> {
    let networks = scope.all("set_real_ip_from").into_iter().map(|network| network.word(0));
    networks.filter(|network| *network != "unix:").collect()
}
