//! Files that know each other in a circle.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    path::{Path, PathBuf},
};

use crate::graph::Graph;

/// One circle, the shortest one, of every knot of files that may not have any.
pub fn of(graph: &Graph, without_circles: &[&str]) -> Vec<String> {
    let mut next: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for arrow in graph.arrows().filter(|arrow| !arrow.is_test) {
        next.entry(arrow.from).or_default().insert(arrow.to);
    }
    let mut seen: BTreeSet<usize> = BTreeSet::new();
    let mut told = Vec::new();
    for file in 0..graph.len() {
        if seen.contains(&file) {
            continue;
        }
        let knot = knot(&next, file);
        seen.extend(&knot);
        if knot.len() > 1 && !may_be_a_knot(graph, &knot, without_circles) {
            told.extend(shortest(graph, &next, &knot).map(|circle| in_words(graph, &circle)));
        }
    }
    told
}

/// The file and all those that both know it and are known to it, however far.
fn knot(next: &BTreeMap<usize, BTreeSet<usize>>, file: usize) -> BTreeSet<usize> {
    let reached = reached(next, file);
    reached
        .iter()
        .copied()
        .filter(|other| self::reached(next, *other).contains(&file))
        .chain([file])
        .collect()
}

fn reached(next: &BTreeMap<usize, BTreeSet<usize>>, from: usize) -> BTreeSet<usize> {
    let mut reached = BTreeSet::new();
    let mut waiting = vec![from];
    while let Some(file) = waiting.pop() {
        for other in next.get(&file).into_iter().flatten() {
            if reached.insert(*other) {
                waiting.push(*other);
            }
        }
    }
    reached
}

fn may_be_a_knot(graph: &Graph, knot: &BTreeSet<usize>, without_circles: &[&str]) -> bool {
    let folders: BTreeSet<PathBuf> = knot.iter().map(|file| graph.folder(*file)).collect();
    let is_strict = |folder: &PathBuf| {
        without_circles
            .iter()
            .any(|strict| folder.starts_with(Path::new(strict)))
    };
    folders.len() == 1 && !folders.iter().any(is_strict)
}

/// Of those that leave a folder, if any does.
fn shortest(graph: &Graph, next: &BTreeMap<usize, BTreeSet<usize>>, knot: &BTreeSet<usize>) -> Option<Vec<usize>> {
    let stays = |circle: &Vec<usize>| {
        let folders: BTreeSet<PathBuf> = circle.iter().map(|file| graph.folder(*file)).collect();
        folders.len() == 1
    };
    let circles = knot.iter().filter_map(|file| way_back(next, *file));
    circles.min_by_key(|circle| (stays(circle), circle.len()))
}

/// The shortest way from a file back to itself.
fn way_back(next: &BTreeMap<usize, BTreeSet<usize>>, file: usize) -> Option<Vec<usize>> {
    let mut ways = VecDeque::from([vec![file]]);
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop_front() {
        let last = *way.last()?;
        for other in next.get(&last).into_iter().flatten() {
            if *other == file {
                return Some(way);
            }
            if seen.insert(*other) {
                ways.push_back([&way[..], &[*other]].concat());
            }
        }
    }
    None
}

fn in_words(graph: &Graph, circle: &[usize]) -> String {
    let names: Vec<String> = circle
        .iter()
        .chain(circle.first())
        .map(|file| graph.name(*file))
        .collect();
    format!("a circle: {}", names.join(" → "))
}
