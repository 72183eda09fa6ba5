// Attention backwards, by key: the keys' and values' parts of g [row, 3 d_model], from queries_backwards.wgsl's scores, for the
// rows of one run: row r stands at position first + r. A workgroup of 64 takes one head of one row. Groups: (rows, heads).

struct Params {
    d_model: u32,
    d_head: u32,
    stride: u32,
    n_key: u32,
    z_stride: u32,
    rows: u32,
    first: u32,
}

@group(0) @binding(0) var<storage, read> own: array<f32>;
@group(0) @binding(1) var<storage, read> pattern: array<f32>;
@group(0) @binding(2) var<storage, read> g_z: array<f32>;
@group(0) @binding(3) var<storage, read> scores: array<f32>;
@group(0) @binding(4) var<storage, read_write> g: array<f32>;
@group(0) @binding(5) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = group.x;
    let head = group.y * p.d_head;
    for (var i = thread; i < p.d_head; i += 64u) {
        var key = 0.0;
        var value = 0.0;
        for (var query = row; query < p.rows; query += 1u) {
            let at = (query * groups.y + group.y) * p.n_key + p.first + row;
            key += scores[at] * own[query * p.stride + head + i];
            value += pattern[at] * g_z[query * p.z_stride + head + i];
        }
        g[row * p.stride + p.d_model + head + i] = key;
        g[row * p.stride + 2u * p.d_model + head + i] = value;
    }
    // what products read beyond the values
    let end = 3u * p.d_model + thread;
    if group.y == 0u && end < p.stride {
        g[row * p.stride + end] = 0.0;
    }
}
