//! Where the nodes of a layered graph lie: columns from left to right, rows within them.
//!
//! The usual steps for layered drawings (Sugiyama and others, 1981): give every node a column, put a
//! bend into every column that an edge passes over, order each column by the mean of its neighbours.

/// The most sweeps over the columns; on graphs of this size the order settles in two.
const SWEEPS: usize = 4;

/// A graph with its layout.
pub(super) struct Layout {
    /// Column and row of each node, bends included; the nodes that were given come first.
    pub(super) spots: Vec<(usize, i32)>,
    /// The nodes that each edge runs through, in order.
    pub(super) chains: Vec<Vec<usize>>,
}

/// Lays out `nodes` nodes and `edges` between them. Those of `straight`, a way through the graph,
/// lie on row 0; `starts` in the first column; `end`, when given, in the last.
pub(super) fn layout(
    nodes: usize,
    edges: &[(usize, usize)],
    straight: &[usize],
    starts: &[usize],
    end: Option<usize>,
) -> Layout {
    let mut columns = columns(nodes, edges, starts, end);
    let mut on_straight: Vec<bool> = (0..nodes).map(|node| straight.contains(&node)).collect();
    let mut chains = Vec::new();
    let mut taken: Vec<(usize, usize)> = Vec::new();
    for (from, to) in edges {
        let mut chain = vec![*from];
        // The first edge of a pair that lies on the straight way takes its bends along.
        let along =
            !taken.contains(&(*from, *to)) && straight.windows(2).any(|pair| pair == [*from, *to]);
        taken.push((*from, *to));
        for column in columns[*from] + 1..columns[*to].max(columns[*from] + 1) {
            chain.push(columns.len());
            columns.push(column);
            on_straight.push(along);
        }
        chain.push(*to);
        chains.push(chain);
    }
    // The order settles by where it began, so several beginnings are tried.
    let spots = [Begin::Top, Begin::Middle, Begin::Bottom]
        .map(|begin| {
            let order = order(&columns, &chains, &on_straight, begin);
            (
                crossings(&order, &chains),
                spots(&order, &on_straight, columns.len()),
            )
        })
        .into_iter()
        .min_by_key(|(crossings, spots)| crossings + 2 * height(spots))
        .map(|(_, spots)| spots)
        .unwrap_or_default();
    Layout { spots, chains }
}

/// Where the straight way begins within its columns.
#[derive(Clone, Copy)]
enum Begin {
    Top,
    Middle,
    Bottom,
}

/// Rows counted from the straight way, from the middle in a column that it does not pass.
fn spots(order: &[Vec<usize>], on_straight: &[bool], nodes: usize) -> Vec<(usize, i32)> {
    let mut spots = vec![(0, 0); nodes];
    for (column, members) in order.iter().enumerate() {
        let middle = members
            .iter()
            .position(|node| on_straight[*node])
            .unwrap_or(members.len() / 2);
        for (index, node) in members.iter().enumerate() {
            spots[*node] = (column, row(index) - row(middle));
        }
    }
    spots
}

fn height(spots: &[(usize, i32)]) -> usize {
    let rows = spots.iter().map(|(_, row)| *row);
    let (top, bottom) = (rows.clone().min().unwrap_or(0), rows.max().unwrap_or(0));
    usize::try_from(bottom - top).unwrap_or(0)
}

/// How often two edges cross between neighbouring columns.
fn crossings(order: &[Vec<usize>], chains: &[Vec<usize>]) -> usize {
    let place = |node: usize| {
        order.iter().enumerate().find_map(|(column, members)| {
            let row = members.iter().position(|other| *other == node)?;
            Some((column, row))
        })
    };
    let links: Vec<_> = chains
        .iter()
        .flat_map(|chain| chain.windows(2))
        .filter_map(|pair| Some((place(pair[0])?, place(pair[1])?)))
        .collect();
    links
        .iter()
        .enumerate()
        .flat_map(|(index, one)| links[index + 1..].iter().map(move |other| (one, other)))
        .filter(|(one, other)| {
            one.0.0 == other.0.0
                && one.1.0 == other.1.0
                && one.0.1.cmp(&other.0.1) == other.1.1.cmp(&one.1.1)
                && one.0.1 != other.0.1
        })
        .count()
}

fn row(index: usize) -> i32 {
    i32::try_from(index).unwrap_or(i32::MAX)
}

/// Each node as far right as its longest way from a start.
fn columns(
    nodes: usize,
    edges: &[(usize, usize)],
    starts: &[usize],
    end: Option<usize>,
) -> Vec<usize> {
    let mut columns = vec![0_usize; nodes];
    // Two paths may take a step in opposite directions; so many rounds settle all graphs without
    // a loop and end on those with one.
    for _ in 0..nodes {
        for (from, to) in edges {
            let next = (columns[*from] + 1).min(nodes.saturating_sub(1));
            columns[*to] = columns[*to].max(next);
        }
    }
    for start in starts {
        columns[*start] = 0;
    }
    // Close the gaps that a loop left.
    let mut used = columns.clone();
    used.sort_unstable();
    used.dedup();
    for column in &mut columns {
        *column = used.binary_search(column).unwrap_or(0);
    }
    if let Some(end) = end {
        columns[end] = columns.iter().copied().max().unwrap_or(0).max(1);
    }
    columns
}

/// The nodes of each column from top to bottom.
fn order(
    columns: &[usize],
    chains: &[Vec<usize>],
    on_straight: &[bool],
    begin: Begin,
) -> Vec<Vec<usize>> {
    let count = columns.iter().copied().max().map_or(0, |last| last + 1);
    let mut order: Vec<Vec<usize>> = vec![Vec::new(); count];
    for straight in [true, false] {
        for (node, column) in columns.iter().enumerate() {
            if on_straight[node] == straight {
                let members = &mut order[*column];
                let at = match begin {
                    Begin::Top => members.len(),
                    Begin::Middle if members.len().is_multiple_of(2) => members.len(),
                    Begin::Middle | Begin::Bottom => 0,
                };
                members.insert(at, node);
            }
        }
    }
    let links: Vec<(usize, usize)> = chains
        .iter()
        .flat_map(|chain| chain.windows(2).map(|pair| (pair[0], pair[1])))
        .collect();
    for sweep in 0..SWEEPS * 2 {
        let rightwards = sweep % 2 == 0;
        let all: Vec<usize> = if rightwards {
            (1..count).collect()
        } else {
            (0..count.saturating_sub(1)).rev().collect()
        };
        for column in all {
            let beside = if rightwards { column - 1 } else { column + 1 };
            let place = |node: usize| order[beside].iter().position(|other| *other == node);
            let mut keyed: Vec<(f64, usize)> = order[column]
                .iter()
                .enumerate()
                .map(|(index, node)| {
                    let places: Vec<usize> = links
                        .iter()
                        .filter_map(|(from, to)| match rightwards {
                            true if to == node => place(*from),
                            false if from == node => place(*to),
                            _ => None,
                        })
                        .collect();
                    let mean = if places.is_empty() {
                        index as f64
                    } else {
                        places.iter().sum::<usize>() as f64 / places.len() as f64
                    };
                    (mean, *node)
                })
                .collect();
            keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
            order[column] = keyed.into_iter().map(|(_, node)| node).collect();
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_two_nodes_share_a_spot_whatever_the_graph(
            edges in proptest::collection::vec((0_usize..9, 0_usize..9), 0..24),
        ) {
            let layout = layout(9, &edges, &[0, 4, 8], &[0], Some(8));
            let mut spots = layout.spots.clone();
            spots.sort_unstable();
            spots.dedup();
            prop_assert_eq!(spots.len(), layout.spots.len());
            prop_assert_eq!(layout.chains.len(), edges.len());
            for (chain, (from, to)) in layout.chains.iter().zip(&edges) {
                prop_assert_eq!((chain[0], chain[chain.len() - 1]), (*from, *to));
            }
        }
    }

    #[test]
    fn the_straight_way_stays_on_its_row_and_a_long_edge_bends_round() {
        let edges = [(0, 1), (1, 2), (2, 3), (0, 3), (1, 3)];
        let layout = layout(4, &edges, &[0, 1, 2, 3], &[0], Some(3));
        assert_eq!(&layout.spots[..4], [(0, 0), (1, 0), (2, 0), (3, 0)]);
        assert_eq!(layout.chains[3].len(), 4);
        assert!(layout.spots[4..].iter().all(|(_, row)| *row != 0));
    }
}
