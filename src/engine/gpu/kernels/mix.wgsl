// What heads read: z [query, head, d_head] = the values that a query sees, each times its weight in pattern.wgsl's pattern.
// A workgroup of 64 takes one head of one query. Groups: (queries, heads).

struct Params {
    d_model: u32,
    d_head: u32,
    stride: u32,
    n_key: u32,
    // floats in a row of z
    z_stride: u32,
    // where in z the first query's row is
    z_row: u32,
}

@group(0) @binding(0) var<storage, read> queries: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read> past: array<f32>;
@group(0) @binding(2) var<storage, read> own: array<f32>;
@group(0) @binding(3) var<storage, read> pattern: array<f32>;
@group(0) @binding(4) var<storage, read_write> z: array<f32>;
@group(0) @binding(5) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let about = queries[group.x];
    let at = (group.x * groups.y + group.y) * p.n_key;
    let head = group.y * p.d_head;
    let values = 2u * p.d_model + head;
    let row = (p.z_row + group.x) * p.z_stride;
    for (var i = thread; i < p.d_head; i += 64u) {
        var sum = 0.0;
        for (var key = 0u; key < about.z; key += 1u) {
            sum += pattern[at + key] * past[key * p.stride + values + i];
        }
        for (var key = about.z; key <= about.w; key += 1u) {
            sum += pattern[at + key] * own[(about.y + key - about.z) * p.stride + values + i];
        }
        z[row + head + i] = sum;
    }
    // what products read beyond the last head
    let end = p.d_model + thread;
    if group.y == 0u && end < p.z_stride {
        z[row + end] = 0.0;
    }
}
