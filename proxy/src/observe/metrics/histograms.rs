//! Histograms that somebody else has counted.

use prometheus::proto::{Bucket, Histogram, LabelPair, Metric, MetricFamily, MetricType};

use crate::pool::Latency;

/// One metric's histograms.
pub(super) struct Histograms(MetricFamily);

impl Histograms {
    pub fn new(name: &str, help: &str) -> Self {
        let mut family = MetricFamily::default();
        family.set_name(name.to_owned());
        family.set_help(help.to_owned());
        family.set_field_type(MetricType::HISTOGRAM);
        Self(family)
    }

    pub fn push(&mut self, labels: &[(&str, &str)], latency: &Latency) {
        let bucket = |(bound, count): &(f64, u64)| {
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(*bound);
            bucket.set_cumulative_count(*count);
            bucket
        };
        let label = |(name, value): &(&str, &str)| {
            let mut label = LabelPair::default();
            label.set_name((*name).to_owned());
            label.set_value((*value).to_owned());
            label
        };
        let mut histogram = Histogram::default();
        histogram.set_bucket(latency.buckets.iter().map(bucket).collect());
        histogram.set_sample_count(latency.count);
        histogram.set_sample_sum(latency.sum_seconds);
        let mut metric = Metric::default();
        metric.set_label(labels.iter().map(label).collect());
        metric.set_histogram(histogram);
        self.0.mut_metric().push(metric);
    }

    /// None where there is nothing to tell, which the format has no form for.
    pub fn family(self) -> Vec<MetricFamily> {
        let has_any = !self.0.get_metric().is_empty();
        Some(self.0).filter(|_| has_any).into_iter().collect()
    }
}
