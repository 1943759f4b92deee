//! The metrics' text: what was counted, and how connections, memory and pools stand at this moment.

use std::sync::Arc;

use prometheus::{Encoder, IntGauge, Registry, TextEncoder};

use super::pools;
use super::{Metrics, counter, gauges, registered, total};
use crate::body;
use crate::client::connection::Connections;
use crate::observe::changes::{ChangeOutcome, LastChanges};
use crate::observe::outlet::Lost;
use crate::observe::traces::Traces;
use crate::pool::Pool;
use crate::script::{CONDITIONS, tallies};
use crate::upstream::retry;

impl Metrics {
    /// Everything in Prometheus' text format.
    pub fn render<'a>(
        &self,
        connections: &Connections,
        pools: impl Iterator<Item = &'a Arc<Pool>>,
        lost_lines: Lost,
        traces: Option<&Traces>,
        bodies: &body::Budget,
        retries: &retry::Budget,
    ) -> prometheus::Result<String> {
        let now = Registry::new();
        tell_connections(&now, connections)?;
        tell_memory(&now, bodies)?;
        tell_changes(&now, &self.changes().last())?;
        tell_lost_lines(&now, lost_lines)?;
        traces.map_or(Ok(()), |traces| tell_lost_traces(&now, traces.lost()))?;
        tell_scripts(&now)?;
        total(
            &now,
            "veil_retry_budget_refused_total",
            "Retries that `retry_budget` had no room for.",
            retries.refused(),
        )?;
        let latencies = pools::tell(&now, pools)?;
        let mut text = Vec::new();
        let encoder = TextEncoder::new();
        encoder.encode(&self.registry.gather(), &mut text)?;
        encoder.encode(&now.gather(), &mut text)?;
        encoder.encode(&latencies.family(), &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned() + &vitals::text())
    }
}

fn tell_connections(now: &Registry, connections: &Connections) -> prometheus::Result<()> {
    let counts = connections.counts();
    let by_phase = gauges(
        now,
        "veil_connections",
        "Clients' connections, by what they do.",
        &["phase"],
    )?;
    for (phase, count) in [
        ("reading", counts.reading),
        ("writing", counts.writing),
        ("waiting", counts.waiting),
    ] {
        by_phase.with_label_values(&[phase]).set(count as i64);
    }
    total(
        now,
        "veil_connections_accepted_total",
        "Connections accepted.",
        counts.accepted,
    )?;
    let ended = counter(
        now,
        "veil_connections_ended_total",
        "Connections that were ended before their clients did, by why.",
        &["cause"],
    )?;
    for (cause, count) in connections.ended.counts() {
        ended.with_label_values(&[cause]).inc_by(count);
    }
    total(
        now,
        "veil_refused_heads_total",
        "Requests refused for how they were framed, before a route saw them.",
        counts.refused_heads,
    )
}

fn tell_scripts(now: &Registry) -> prometheus::Result<()> {
    let labels = &["script"];
    let calls = counter(
        now,
        "veil_script_calls_total",
        "Calls of scripts; of conditions as `when`.",
        labels,
    )?;
    let errors = counter(
        now,
        "veil_script_errors_total",
        "Calls that have failed or taken too much.",
        labels,
    )?;
    let time = counter(
        now,
        "veil_script_microseconds_total",
        "Time that calls have taken.",
        labels,
    )?;
    let conditions = ("when".to_owned(), CONDITIONS.count());
    for (name, count) in tallies().counts().into_iter().chain([conditions]) {
        calls.with_label_values(&[name.as_str()]).inc_by(count.calls);
        errors.with_label_values(&[name.as_str()]).inc_by(count.errors);
        time.with_label_values(&[name.as_str()])
            .inc_by(count.time.as_micros() as u64);
    }
    Ok(())
}

/// Of a change that there has not been there is nothing to tell.
fn tell_changes(now: &Registry, last: &LastChanges) -> prometheus::Result<()> {
    let succeeded = gauges(
        now,
        "veil_last_change_succeeded",
        "Whether the last reload or upgrade has succeeded; 0 while it is under way, too.",
        &["change"],
    )?;
    let at = gauges(
        now,
        "veil_last_change_timestamp_seconds",
        "When it began or ended.",
        &["change"],
    )?;
    let configured = IntGauge::new(
        "veil_configured_timestamp_seconds",
        "Since when the configuration holds that is served: the last good reload, or the start.",
    )?;
    registered(now, configured)?.set(last.configured_at as i64);
    for (name, change) in [("reload", &last.last_reload), ("upgrade", &last.last_upgrade)] {
        if let Some(change) = change {
            let has_succeeded = change.outcome == ChangeOutcome::Succeeded;
            succeeded.with_label_values(&[name]).set(has_succeeded.into());
            at.with_label_values(&[name]).set(change.at as i64);
        }
    }
    Ok(())
}

fn tell_lost_lines(now: &Registry, lost: Lost) -> prometheus::Result<()> {
    let lines = counter(
        now,
        "veil_access_log_dropped_total",
        "Lines of the access log that are lost: nobody read them in time, or they could not be written.",
        &["reason"],
    )?;
    for (reason, count) in [("unread", lost.unread), ("unwritten", lost.unwritten)] {
        lines.with_label_values(&[reason]).inc_by(count);
    }
    Ok(())
}

fn tell_lost_traces(now: &Registry, lost: Lost) -> prometheus::Result<()> {
    let traces = counter(
        now,
        "veil_traces_dropped_total",
        "Parts of traces that are lost: the collector was too slow, or did not take them.",
        &["reason"],
    )?;
    for (reason, count) in [("unread", lost.unread), ("unwritten", lost.unwritten)] {
        traces.with_label_values(&[reason]).inc_by(count);
    }
    Ok(())
}

fn tell_memory(now: &Registry, bodies: &body::Budget) -> prometheus::Result<()> {
    let memory = gauges(
        now,
        "veil_body_memory_bytes",
        "Memory for requests' bodies, in use and in all.",
        &["of"],
    )?;
    memory.with_label_values(&["in_use"]).set(bodies.in_use() as i64);
    memory.with_label_values(&["total"]).set(bodies.total() as i64);
    Ok(())
}
