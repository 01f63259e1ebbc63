//! `graph`: all objects and their references.

use std::collections::{BTreeMap, VecDeque};

use object_store::{Oid, Record, Tid};
use serde_json::{Value as Json, json};

use super::{html, print_json, slots_that_refer};
use crate::arguments::Format;
use crate::console::Console;
use crate::failure::Failure;
use crate::state::State;
use crate::text;

/// The objects of a state, with what refers to what.
pub(super) struct Graph {
    pub(super) nodes: BTreeMap<Oid, Node>,
    pub(super) edges: Vec<Edge>,
}

/// An object.
pub(super) struct Node {
    pub(super) oid: String,
    pub(super) name: String,
    pub(super) bytes: usize,
    /// Its rows, as `show` has them.
    pub(super) rows: Vec<String>,
    /// References from the root to it; `None`: it cannot be reached.
    pub(super) distance: Option<usize>,
}

/// References from one object to another, all together.
pub(super) struct Edge {
    pub(super) from: Oid,
    pub(super) to: Oid,
    pub(super) slots: Vec<String>,
}

/// Draws the graph.
pub(super) fn run(state: &mut State, format: Format, console: &mut Console<'_>) -> Result<(), Failure> {
    let graph = Graph::read(state, console)?;
    match format {
        Format::Json => print_json(&graph.json(), console),
        Format::Html => html::page(&graph).iter().try_for_each(|line| console.print(line)),
        _ => graph.dot().iter().try_for_each(|line| console.print(line)),
    }
}

impl Graph {
    fn read(state: &mut State, console: &mut Console<'_>) -> Result<Graph, Failure> {
        let mut graph = Graph { nodes: BTreeMap::new(), edges: Vec::new() };
        state.each_object(Tid::MAX, console, |names, _, oid, _, record| {
            graph.edges.extend(edges(oid, &record));
            let node = Node {
                oid: names.oid(oid),
                name: names.label(oid, &record),
                bytes: record.encoded_length(),
                rows: text::record(names, &record),
                distance: None,
            };
            graph.nodes.insert(oid, node);
            Ok(())
        })?;
        // A reference to an object that is not there has no end to draw; `refs` tells of it.
        let nodes = &graph.nodes;
        graph.edges.retain(|edge| nodes.contains_key(&edge.to));
        graph.measure();
        Ok(graph)
    }

    /// Distances from the root, breadth first.
    fn measure(&mut self) {
        let mut by_source: BTreeMap<Oid, Vec<Oid>> = BTreeMap::new();
        for edge in &self.edges {
            by_source.entry(edge.from).or_default().push(edge.to);
        }
        let mut queue = VecDeque::from([(Oid::ROOT, 0)]);
        while let Some((oid, distance)) = queue.pop_front() {
            let Some(node) = self.nodes.get_mut(&oid).filter(|node| node.distance.is_none()) else { continue };
            node.distance = Some(distance);
            let next = by_source.get(&oid).map(Vec::as_slice).unwrap_or_default();
            queue.extend(next.iter().map(|&to| (to, distance + 1)));
        }
    }

    /// What an object is called in a drawing.
    pub(super) fn title(node: &Node) -> String {
        let short = node.oid.get(..7).unwrap_or(&node.oid);
        if node.name.is_empty() { format!("{short}…") } else { node.name.clone() }
    }

    fn ends<'a>(&'a self, edge: &Edge) -> Option<(&'a Node, &'a Node)> {
        Some((self.nodes.get(&edge.from)?, self.nodes.get(&edge.to)?))
    }

    fn dot(&self) -> Vec<String> {
        let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
        let mut lines =
            vec!["digraph telos {".into(), "  rankdir=LR; node [shape=box, fontname=\"sans-serif\"];".into()];
        for node in self.nodes.values() {
            let style = if node.distance.is_none() { ", style=dashed" } else { "" };
            let label = quoted(&Graph::title(node));
            lines.push(format!("  {} [label={label}, tooltip={}{style}];", quoted(&node.oid), quoted(&node.oid)));
        }
        for edge in &self.edges {
            if let Some((from, to)) = self.ends(edge) {
                let label = quoted(&edge.slots.join(", "));
                lines.push(format!("  {} -> {} [label={label}];", quoted(&from.oid), quoted(&to.oid)));
            }
        }
        lines.push("}".into());
        lines
    }

    fn json(&self) -> Json {
        let node =
            |node: &Node| json!({ "oid": node.oid, "name": node.name, "bytes": node.bytes, "distance": node.distance });
        let edge = |edge: &Edge| {
            let (from, to) = self.ends(edge)?;
            Some(json!({ "from": from.oid, "to": to.oid, "slots": edge.slots }))
        };
        json!({
            "nodes": self.nodes.values().map(node).collect::<Json>(),
            "edges": self.edges.iter().filter_map(edge).collect::<Json>(),
        })
    }
}

fn edges(from: Oid, record: &Record) -> Vec<Edge> {
    let mut to: Vec<Oid> = record.references.clone();
    to.sort_unstable();
    to.dedup();
    to.into_iter().map(|to| Edge { from, to, slots: slots_that_refer(record, to) }).collect()
}
