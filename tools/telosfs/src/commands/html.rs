//! The graph as one page for a browser, which fetches nothing from anywhere.
//!
//! Objects stand in columns by their distance from the root, in the order of their numbers. The drawing is complete without
//! the script, which only marks what an object is connected to, shows its slots, and filters by a text.

use std::collections::BTreeMap;

use object_store::Oid;

use super::graph::{Graph, Node};

const COLUMN: usize = 260;
const ROW: usize = 26;
const BOX_WIDTH: usize = 170;
const BOX_HEIGHT: usize = 20;
const MARGIN: usize = 20;
/// The most characters of a title in a box.
const TITLE: usize = 24;

const HEAD: &str = "<!DOCTYPE html>
<html lang=\"en\"><head><meta charset=\"utf-8\"><title>TelOS objects</title>
<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'\">
<style>
body { margin: 0; font: 14px sans-serif; color: #222; background: #fff; display: flex; height: 100vh; }
#drawing { flex: 1; overflow: auto; }
#side { width: 30em; overflow: auto; border-left: 1px solid #ccc; padding: 0 1em; }
#side pre { white-space: pre-wrap; overflow-wrap: anywhere; font-size: 12px; }
#side section { display: none; } #side section.shown { display: block; }
rect { fill: #eef3fb; stroke: #6a86b8; rx: 3; } .apart rect { stroke-dasharray: 4 2; fill: #f6f6f6; }
text { font-size: 12px; } g { cursor: pointer; }
path { fill: none; stroke: #999; stroke-opacity: .45; }
.quiet { opacity: .12; } g.chosen rect { fill: #ffe9a8; } path.lit { stroke: #c04000; stroke-opacity: 1; stroke-width: 1.6; }
</style></head><body>";

const SCRIPT: &str = "<script>
const all = selector => [...document.querySelectorAll(selector)];
function choose(id) {
  const near = new Set([id]);
  all('path').forEach(path => {
    const lit = path.dataset.from === id || path.dataset.to === id;
    path.classList.toggle('lit', lit); path.classList.toggle('quiet', !lit);
    if (lit) { near.add(path.dataset.from); near.add(path.dataset.to); }
  });
  all('g').forEach(box => {
    box.classList.toggle('chosen', box.id === id); box.classList.toggle('quiet', !near.has(box.id));
  });
  all('#side section').forEach(part => part.classList.toggle('shown', part.dataset.of === id));
}
all('g').forEach(box => box.addEventListener('click', () => choose(box.id)));
document.getElementById('filter').addEventListener('input', event => {
  const wanted = event.target.value.toLowerCase();
  all('path').forEach(path => path.classList.remove('lit', 'quiet'));
  all('g').forEach(box => {
    box.classList.remove('chosen');
    box.classList.toggle('quiet', !box.textContent.toLowerCase().includes(wanted));
  });
});
</script></body></html>";

/// The page.
pub(super) fn page(graph: &Graph) -> Vec<String> {
    let places = places(graph);
    let width = places.values().map(|place| place.0).max().unwrap_or(0) + BOX_WIDTH + MARGIN;
    let height = places.values().map(|place| place.1).max().unwrap_or(0) + BOX_HEIGHT + MARGIN;
    let mut lines = vec![HEAD.to_owned()];
    lines.push(format!(
        "<div id=\"drawing\"><svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\">"
    ));
    for edge in &graph.edges {
        if let (Some(from), Some(to)) = (places.get(&edge.from), places.get(&edge.to)) {
            let (x, y, to_x, to_y) = (from.0 + BOX_WIDTH, from.1 + BOX_HEIGHT / 2, to.0, to.1 + BOX_HEIGHT / 2);
            let (out, back) = (x + COLUMN / 3, to_x.saturating_sub(COLUMN / 3));
            lines.push(format!(
                "<path data-from=\"o{}\" data-to=\"o{}\" d=\"M{x} {y}C{out} {y} {back} {to_y} {to_x} {to_y}\"><title>{}</title></path>",
                edge.from.number(),
                edge.to.number(),
                escaped(&edge.slots.join(", "))
            ));
        }
    }
    for (oid, node) in &graph.nodes {
        if let Some((x, y)) = places.get(oid) {
            lines.push(boxed(*oid, node, *x, *y));
        }
    }
    lines.push(
        "</svg></div><div id=\"side\"><p><input id=\"filter\" placeholder=\"filter by name or OID\" size=\"30\"></p>"
            .into(),
    );
    lines.push(format!("<p>{} objects, {} references.</p>", graph.nodes.len(), graph.edges.len()));
    for (oid, node) in &graph.nodes {
        lines.push(format!(
            "<section data-of=\"o{}\"><h3>{}</h3><p>{}, {} bytes</p><pre>{}</pre></section>",
            oid.number(),
            escaped(&Graph::title(node)),
            escaped(&node.oid),
            node.bytes,
            escaped(&node.rows.join("\n"))
        ));
    }
    lines.push("</div>".into());
    lines.push(SCRIPT.to_owned());
    lines
}

fn boxed(oid: Oid, node: &Node, x: usize, y: usize) -> String {
    let title: String = Graph::title(node).chars().take(TITLE).collect();
    let class = if node.distance.is_none() { " class=\"apart\"" } else { "" };
    format!(
        "<g id=\"o{}\"{class}><title>{}</title><rect x=\"{x}\" y=\"{y}\" width=\"{BOX_WIDTH}\" height=\"{BOX_HEIGHT}\"/>\
         <text x=\"{}\" y=\"{}\">{}</text></g>",
        oid.number(),
        escaped(&node.oid),
        x + 6,
        y + 14,
        escaped(&title)
    )
}

/// Where each object stands: a column for each distance from the root, and a last one for what cannot be reached.
fn places(graph: &Graph) -> BTreeMap<Oid, (usize, usize)> {
    let beyond = graph.nodes.values().filter_map(|node| node.distance).max().map_or(0, |most| most + 1);
    let mut filled: BTreeMap<usize, usize> = BTreeMap::new();
    let place = |(&oid, node): (&Oid, &Node)| {
        let column = node.distance.unwrap_or(beyond);
        let row = filled.entry(column).or_default();
        let place = (MARGIN + column * COLUMN, MARGIN + *row * ROW);
        *row += 1;
        (oid, place)
    };
    graph.nodes.iter().map(place).collect()
}

/// Text as HTML: nothing that an object holds becomes markup.
fn escaped(text: &str) -> String {
    let mut safe = String::new();
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}
