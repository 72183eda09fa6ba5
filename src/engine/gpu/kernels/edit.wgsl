// Changes some rows of a site in place: each row by its changes, in order.
// table: by row (row, first change, changes, 0); then the changes (column, columns, kind, value); then rows of values.
// A workgroup of 64 takes a row. Groups: (rows, 1).

struct Params {
    // floats in a row
    stride: u32,
    // where changes and values begin in the table
    changes: u32,
    values: u32,
}

@group(0) @binding(0) var<storage, read> table: array<u32>;
@group(0) @binding(1) var<storage, read_write> rows: array<f32>;
@group(0) @binding(2) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let about = 4u * group.x;
    let row = table[about] * p.stride;
    for (var change = 0u; change < table[about + 2u]; change += 1u) {
        let at = p.changes + 4u * (table[about + 1u] + change);
        let start = row + table[at];
        let value = bitcast<f32>(table[at + 3u]);
        for (var i = thread; i < table[at + 1u]; i += 64u) {
            switch table[at + 2u] {
                case 0u: { rows[start + i] = value; }
                case 1u: { rows[start + i] += value; }
                case 2u: { rows[start + i] *= value; }
                default: { rows[start + i] = bitcast<f32>(table[p.values + table[at + 3u] + i]); }
            }
        }
        // another thread may change the same column next
        storageBarrier();
    }
}
