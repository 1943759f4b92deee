//! `map`, `geo` and `split_clients` become tables.

use super::conditions;
use super::draft::{Draft, Map};
use super::geo::Geo;
use super::report::Report;
use super::scope::Scope;
use super::syntax::Directive;

/// The tables of the `http` block.
pub fn tables(http: &Scope, report: &mut Report) -> Map {
    let mut tables = Map::default();
    for directive in http.own() {
        let (of, name) = match (directive.name.as_str(), directive.words.len()) {
            ("map" | "split_clients", _) | ("geo", 2) => (directive.word(0), directive.word(1)),
            ("geo", _) => ("$remote_addr", directive.word(0)),
            _ => continue,
        };
        let of = match report.words.template(of) {
            Ok(of) => of,
            Err(variable) => {
                report.missing(directive, format!("{variable} is not known; it is nothing everywhere"));
                String::new()
            }
        };
        report.carried(directive);
        let mut table = Table {
            report,
            is_of_hosts: directive.block.iter().flatten().any(|row| row.name == "hostnames"),
            default: None,
            rows: Vec::new(),
        };
        let mut settings = Map::default().with("of", of);
        for row in directive.block.iter().flatten() {
            match directive.name.as_str() {
                "map" => table.of_map(row),
                "split_clients" => table.of_split(row),
                _ => {}
            }
        }
        if directive.name == "geo" {
            settings.extend(table.of_geo(directive));
        }
        settings.put_some("default", table.default);
        if !table.rows.is_empty() || directive.name != "geo" {
            settings.put("rows", table.rows);
        }
        tables.put(
            name.trim_start_matches('$'),
            Draft::from(settings).placed_at(&directive.place),
        );
    }
    tables
}

struct Table<'r> {
    report: &'r mut Report,
    is_of_hosts: bool,
    default: Option<String>,
    rows: Vec<Draft>,
}

impl Table<'_> {
    fn value(&mut self, row: &Directive) -> Option<String> {
        match self.report.words.template(row.word(0)) {
            Ok(value) => {
                self.report.carried(row);
                Some(value)
            }
            Err(variable) => {
                self.report
                    .missing(row, format!("{variable} is not known; the row is left out"));
                None
            }
        }
    }

    fn row(&mut self, row: &Directive, kind: &str, key: &str) {
        if let Some(value) = self.value(row) {
            self.rows.push(Map::default().with(kind, key).with("is", value).into());
        }
    }

    fn of_map(&mut self, row: &Directive) {
        match row.name.as_str() {
            "hostnames" | "volatile" => self.report.carried(row),
            "default" => self.default = self.value(row),
            name => match (name.strip_prefix('~'), name.strip_prefix('\\')) {
                (Some(expression), _) => {
                    let expression = match expression.strip_prefix('*') {
                        Some(rest) => format!("(?i){rest}"),
                        None => expression.to_owned(),
                    };
                    match conditions::known(&expression) {
                        Ok(()) => self.row(row, "regex", &expression),
                        Err(why) => self.report.missing(row, format!("{why}; the row is left out")),
                    }
                }
                (_, Some(name)) => self.row(row, "text", name),
                _ if self.is_of_hosts => self.row(row, "host", name),
                _ => self.row(row, "text", name),
            },
        }
    }

    /// What the table says of networks and proxies, besides its rows.
    fn of_geo(&mut self, block: &Directive) -> Map {
        let geo = Geo::of(block, self.report);
        self.default = geo.default.and_then(|row| self.value(row));
        let mut networks = Map::default();
        for (network, row) in geo.networks.iter() {
            networks.put_some(network, self.value(row));
        }
        let mut settings = Map::default();
        settings.put_part("networks", networks);
        if !geo.proxies.is_empty() {
            settings.put("proxies", geo.proxies);
            if !geo.is_recursive {
                settings.put("nearest_proxy_only", true);
            }
        }
        settings
    }

    fn of_split(&mut self, row: &Directive) {
        match row.name.as_str() {
            "*" => self.default = self.value(row),
            share => self.row(row, "share", share),
        }
    }
}
