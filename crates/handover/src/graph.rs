//! Walks through a directed graph that together show everything there is to show.

use std::collections::VecDeque;

/// Nodes are numbers from 0 on, 0 the start; a node without edges is an end. Every node can be
/// reached from the start, and from every node an end.
#[derive(Clone, Debug)]
pub struct Graph<L> {
    /// Of each node: its edges.
    pub edges: Vec<Vec<Edge<L>>>,
}

/// A way from a node to another.
#[derive(Clone, Debug)]
pub struct Edge<L> {
    /// What it is called.
    pub label: L,
    /// Where it leads.
    pub target: usize,
    /// What has been shown once it is taken: numbers from 0 on.
    pub shows: Vec<usize>,
}

impl<L: Copy> Graph<L> {
    /// How many edges there are.
    #[must_use]
    pub fn size(&self) -> usize {
        self.edges.iter().map(Vec::len).sum()
    }

    /// The graph whose nodes are this one's edges, and whose edges are pairs of edges that follow
    /// on each other: a cover of it takes every way out of a node after every way into it. Each of its edges shows something of
    /// its own.
    #[must_use]
    pub fn pairs(&self) -> Graph<L> {
        let mut first = Vec::with_capacity(self.edges.len());
        // Node 0 is the start, before any edge.
        let mut number = 1;
        for edges in &self.edges {
            first.push(number);
            number += edges.len();
        }
        let mut shown = 0;
        let mut out_of = |node: usize| {
            let edges = self.edges[node].iter().enumerate();
            let edges = edges.map(|(at, edge)| {
                shown += 1;
                Edge { label: edge.label, target: first[node] + at, shows: vec![shown - 1] }
            });
            edges.collect::<Vec<_>>()
        };
        let mut edges = vec![out_of(0)];
        edges.extend(self.edges.iter().flatten().map(|edge| out_of(edge.target)));
        Graph { edges }
    }

    /// Walks from the start to an end that together show everything any edge does; few, not
    /// fewest. The same graph, the same walks.
    #[must_use]
    pub fn cover(&self) -> Vec<Vec<L>> {
        let all = self.edges.iter().flatten().flat_map(|edge| &edge.shows);
        let mut shown = vec![false; all.max().map_or(0, |most| most + 1)];
        let to_end = self.steps_to_an_end();
        let mut walks = Vec::new();
        // From the start every edge can be reached.
        while self.way_to_fresh(0, &shown).is_some() {
            let mut walk = Vec::new();
            let mut node = 0;
            while !self.edges[node].is_empty() {
                let way = self.way_to_fresh(node, &shown);
                for at in way.unwrap_or_else(|| vec![self.homewards(node, &to_end)]) {
                    let Edge { label, target, shows } = &self.edges[node][at];
                    shows.iter().for_each(|what| shown[*what] = true);
                    walk.push(*label);
                    node = *target;
                }
            }
            walks.push(walk);
        }
        walks
    }

    /// The shortest way whose last edge shows something new: which edge at each node.
    fn way_to_fresh(&self, from: usize, shown: &[bool]) -> Option<Vec<usize>> {
        let mut came: Vec<Option<(usize, usize)>> = vec![None; self.edges.len()];
        let mut queue = VecDeque::from([from]);
        while let Some(node) = queue.pop_front() {
            let fresh = |edge: &Edge<L>| edge.shows.iter().any(|what| !shown[*what]);
            if let Some(edge) = self.edges[node].iter().position(fresh) {
                let mut way = vec![edge];
                let mut at = node;
                while at != from {
                    let (before, edge) = came[at]?;
                    way.push(edge);
                    at = before;
                }
                way.reverse();
                return Some(way);
            }
            for (number, edge) in self.edges[node].iter().enumerate() {
                if edge.target != from && came[edge.target].is_none() {
                    came[edge.target] = Some((node, number));
                    queue.push_back(edge.target);
                }
            }
        }
        None
    }

    fn homewards(&self, node: usize, to_end: &[usize]) -> usize {
        let nearest = self.edges[node].iter().enumerate().min_by_key(|(_, edge)| to_end[edge.target]);
        nearest.map_or(0, |(at, _)| at)
    }

    fn steps_to_an_end(&self) -> Vec<usize> {
        let mut into: Vec<Vec<usize>> = vec![Vec::new(); self.edges.len()];
        for (node, edges) in self.edges.iter().enumerate() {
            for edge in edges {
                into[edge.target].push(node);
            }
        }
        let mut steps = vec![usize::MAX; self.edges.len()];
        let ends = (0..self.edges.len()).filter(|node| self.edges[*node].is_empty());
        let mut queue: VecDeque<usize> = ends.collect();
        queue.iter().for_each(|end| steps[*end] = 0);
        while let Some(node) = queue.pop_front() {
            for before in &into[node] {
                if steps[*before] == usize::MAX {
                    steps[*before] = steps[node] + 1;
                    queue.push_back(*before);
                }
            }
        }
        steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// 0 to 1 by a or b, 1 to 2 and back by c and d, 1 to 3 by e; each edge shows itself.
    fn looping() -> Graph<char> {
        let edge = |label, target, shown| Edge { label, target, shows: vec![shown] };
        Graph {
            edges: vec![
                vec![edge('a', 1, 0), edge('b', 1, 1)],
                vec![edge('c', 2, 2), edge('e', 3, 3)],
                vec![edge('d', 1, 4)],
                vec![],
            ],
        }
    }

    fn is_walk(graph: &Graph<char>, walk: &[char]) -> bool {
        let mut node = 0;
        for label in walk {
            let Some(edge) = graph.edges[node].iter().find(|edge| edge.label == *label) else { return false };
            node = edge.target;
        }
        graph.edges[node].is_empty()
    }

    #[test]
    fn a_cover_takes_every_edge_and_ends() {
        let graph = looping();
        let walks = graph.cover();
        assert!(walks.iter().all(|walk| is_walk(&graph, walk)), "{walks:?}");
        let taken: BTreeSet<char> = walks.iter().flatten().copied().collect();
        assert_eq!(taken.into_iter().collect::<String>(), "abcde");
        assert_eq!(walks, graph.cover());
    }

    #[test]
    fn what_one_edge_has_shown_no_other_need_show() {
        let mut graph = looping();
        graph.edges[0][1].shows = vec![0];
        assert_eq!(graph.cover(), [vec!['a', 'c', 'd', 'e']]);
    }

    #[test]
    fn a_cover_of_pairs_leaves_by_every_way_after_every_way_in() {
        let graph = looping();
        let walks = graph.pairs().cover();
        assert!(walks.iter().all(|walk| is_walk(&graph, walk)), "{walks:?}");
        let pairs: BTreeSet<_> = walks.iter().flat_map(|w| w.windows(2)).map(|w| (w[0], w[1])).collect();
        let wanted = [('a', 'c'), ('a', 'e'), ('b', 'c'), ('b', 'e'), ('c', 'd'), ('d', 'c'), ('d', 'e')];
        assert_eq!(pairs, wanted.into_iter().collect());
    }
}
