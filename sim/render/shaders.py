"""GLSL of the renderer, in one place."""

SOLID_VERTEX = """
#version 330
uniform mat4 clip_from_world;
in vec3 in_position; in vec3 in_normal; in vec2 in_uv; in float in_layer; in vec3 in_tint;
out vec3 world; out vec3 normal; out vec2 uv; flat out float layer; out vec3 tint;
void main() {
    gl_Position = clip_from_world * vec4(in_position, 1.0);
    world = in_position; normal = in_normal; uv = in_uv; layer = in_layer; tint = in_tint;
}
"""

GROUND_VERTEX = """
#version 330
uniform mat4 clip_from_world;
in vec3 in_position; in vec3 in_normal;
out vec3 world; out vec3 normal;
void main() {
    gl_Position = clip_from_world * vec4(in_position, 1.0);
    world = in_position; normal = in_normal;
}
"""

# A software driver runs both sides of every branch, so the ground has a shader of its own, and
# what can be had from few texture look-ups is.
# Colours are squared before lighting and rooted after it: a cheap stand-in for sRGB both ways.
_AIR = """
#version 330
uniform vec3 sun; uniform vec3 sun_rgb; uniform vec3 sky_rgb; uniform vec3 eye;
uniform vec3 haze_rgb; uniform float haze_per_m; uniform vec3 gain; uniform float vivid;
out vec4 colour;
vec3 hazed(vec3 c, float distance_m) {
    return mix(c, haze_rgb, 1.0 - exp(-distance_m * haze_per_m));
}
vec4 exposed(vec3 c) {
    c *= gain;
    c = mix(vec3(dot(c, vec3(0.3, 0.59, 0.11))), c, vivid);
    return vec4(sqrt(clamp(c, 0.0, 1.0)), 1.0);
}
vec4 as_seen(vec3 c, float distance_m) { return exposed(hazed(c, distance_m)); }
"""

_COMMON = (
    _AIR
    + """
uniform sampler2DShadow shadow_map; uniform mat4 shadow_from_world;
in vec3 world; in vec3 normal;
float lit_share() {
    vec3 spot = (shadow_from_world * vec4(world, 1.0)).xyz * 0.5 + 0.5;
    return texture(shadow_map, spot - vec3(0.0, 0.0, 0.0006));
}
"""
)

SOLID_FRAGMENT = (
    _COMMON
    + """
uniform sampler2DArray atlas;
in vec2 uv; flat in float layer; in vec3 tint;
void main() {
    vec3 to_eye = eye - world; float distance_m = length(to_eye);
    vec3 n = normalize(normal);
    if (dot(n, to_eye) < 0.0) n = -n;
    vec3 base = texture(atlas, vec3(uv, layer)).rgb * tint;
    vec3 light = sky_rgb * (0.62 + 0.38 * n.z) + sun_rgb * (max(dot(n, sun), 0.0) * lit_share());
    colour = as_seen(base * base * light, distance_m);
}
"""
)

# Fine detail by look-up in one tiled picture, at two sizes that never line up: grains (red),
# grass (green), stones (blue), and broad unevenness (alpha) where puddles gather.
GROUND_FRAGMENT = (
    _COMMON
    + """
uniform sampler2D ground; uniform sampler2D detail; uniform float wet; uniform float half_m;
void main() {
    vec3 to_eye = eye - world; float distance_m = length(to_eye); to_eye /= distance_m;
    vec4 texel = texture(ground, vec2(world.x + half_m, half_m - world.y) / (2.0 * half_m));
    vec4 near = texture(detail, world.xy * 0.173);
    vec4 wide = texture(detail, mat2(0.81, -0.59, 0.59, 0.81) * world.xy * 0.0431);
    vec3 t = texel.rgb;
    float green = clamp((t.g - max(t.r, t.b) * 0.985) * 14.0, 0.0, 1.0);
    float warm = clamp((t.r - t.b) * 6.0, 0.0, 1.0);
    float fine = mix(mix(near.r, near.b, warm * 0.8), near.g, green);
    float slow = mix(mix(wide.r, wide.b, warm * 0.8), wide.g, green);
    float rough = mix(0.35 + 0.45 * warm, 0.95, green);
    float dry = texel.a;
    float puddle = wet * (1.0 - 0.85 * green) * smoothstep(0.55, 0.63, wide.a + 0.12 * near.a);
    vec3 base = t * (1.0 + dry * rough * ((fine - 0.5) * 1.1 + (slow - 0.5) * 0.7));
    base *= 1.0 - dry * wet * (0.26 - 0.12 * green) - 0.12 * puddle;
    vec3 n = normalize(normal);
    float lit = lit_share();
    vec3 light = sky_rgb * (0.62 + 0.38 * n.z) + sun_rgb * (max(dot(n, sun), 0.0) * lit);
    vec3 c = base * base * light;
    vec2 ripple = (vec2(wide.a, wide.g) - 0.5) * (1.0 - dry) * 0.2
                + (vec2(near.r, wide.r) - 0.5) * 0.07;
    vec3 wave = normalize(vec3(ripple, 1.0));
    float away = 1.0 - max(dot(wave, to_eye), 0.0);
    float fresnel = 0.03 + 0.6 * away * away * away * away;
    float spark = max(dot(reflect(-sun, wave), to_eye), 0.0);
    spark *= spark; spark *= spark; spark *= spark; spark *= spark; spark *= spark; spark *= spark;
    vec3 mirror = mix(haze_rgb, sky_rgb, 0.5) * 1.2;
    float gloss = max(1.0 - dry, puddle);
    c = mix(c, mix(c, mirror, fresnel) + sun_rgb * (lit * spark * 0.35), gloss);
    c += dry * wet * (1.0 - green) * 0.25 * fresnel * mirror;
    colour = as_seen(c, distance_m);
}
"""
)

DEPTH_VERTEX = """
#version 330
uniform mat4 clip_from_world;
in vec3 in_position;
void main() { gl_Position = clip_from_world * vec4(in_position, 1.0); }
"""

DEPTH_FRAGMENT = """
#version 330
void main() {}
"""

PUFF_VERTEX = """
#version 330
uniform mat4 clip_from_world; uniform vec3 right; uniform vec3 down;
in vec3 in_centre; in float in_radius; in float in_opacity; in vec3 in_rgb; in float in_turn;
out vec2 spot; out float opacity; out vec3 rgb; flat out float turn;
void main() {
    spot = vec2(gl_VertexID & 1, gl_VertexID >> 1) * 2.0 - 1.0;
    vec3 at = in_centre + (right * spot.x + down * spot.y) * in_radius * 1.35;
    gl_Position = clip_from_world * vec4(at, 1.0);
    opacity = in_opacity; rgb = in_rgb; turn = in_turn;
}
"""

PUFF_FRAGMENT = """
#version 330
uniform sampler2DArray atlas; uniform vec3 gain;
in vec2 spot; in float opacity; in vec3 rgb; flat in float turn;
out vec4 colour;
void main() {
    float lumps = texture(atlas, vec3(spot * 0.16 + turn * vec2(0.37, 0.71), 11.0)).r;
    float inside = clamp(1.0 - dot(spot, spot), 0.0, 1.0);
    float a = opacity * smoothstep(0.12, 0.8, inside * (0.45 + 1.1 * lumps));
    vec3 shade = rgb * (0.9 - 0.14 * spot.y + 0.45 * (lumps - 0.5));
    colour = vec4(sqrt(clamp(shade * shade * gain, 0.0, 1.0)), a);
}
"""

BACKDROP_VERTEX = """
#version 330
uniform mat3 world_from_picture;
in vec2 in_spot;
out vec3 view;
void main() {
    view = world_from_picture * vec3(in_spot, 1.0);
    gl_Position = vec4(in_spot, 1.0, 1.0);  // as far as can be: all that was drawn hides it
}
"""

# Where nothing was drawn, the ray goes on to the country's picture or to the sky.
BACKDROP_FRAGMENT = (
    _AIR
    + """
uniform sampler2D country; uniform sampler2D detail;
uniform float half_m; uniform float px_rad; uniform vec3 woods_rgb; uniform float wooded;
uniform vec3 zenith_rgb; uniform float cloud; uniform float sky_gain; uniform vec2 clouds_at;
in vec3 view;
vec3 sky(vec3 ray) {
    float up = max(ray.z, 0.0);
    vec3 low = mix(haze_rgb, vec3(dot(haze_rgb, vec3(0.333))), 0.3) * 1.06;
    vec3 c = mix(low, zenith_rgb, 1.0 - exp(-up * 5.0));
    float near_sun = max(dot(ray, sun), 0.0);
    float s8 = near_sun * near_sun; s8 *= s8; s8 *= s8; float s64 = s8 * s8; s64 *= s64; s64 *= s64;
    float hides = 1.0 - 0.9 * smoothstep(0.85, 1.0, cloud);
    c += sun_rgb * hides * (0.16 * s8 + 0.5 * s64);
    vec2 q = ray.xy / (up + 0.13);
    vec4 wide = texture(detail, q * 0.052 + clouds_at);
    float thick = 0.62 * wide.a + 0.26 * texture(detail, q * 0.19 + clouds_at.yx).a
                + 0.12 * texture(detail, q * 0.83 + clouds_at).a;
    float most = mix(0.74, 0.16, cloud);
    float cover = smoothstep(most, most + 0.2, thick) * smoothstep(0.0, 0.1, up + 0.03);
    float dark = smoothstep(most + 0.08, most + 0.5, thick) * 0.34;
    vec3 white = vec3(0.96, 0.97, 1.0) * (0.95 - dark) + sun_rgb * hides * 0.25 * s8;
    return mix(c, white, cover * (0.72 + 0.28 * cloud)) * sky_gain;
}
vec3 ground(vec2 at, float distance_m, float slope) {
    vec2 spot = vec2(at.x + half_m, half_m - at.y) / (2.0 * half_m);
    vec2 folded = abs(mod(spot + 1.0, 2.0) - 1.0);
    float across_m = distance_m * px_rad * pow(-slope, -0.6);
    vec4 texel = textureLod(country, folded, log2(max(across_m * 512.0 / half_m, 1.0)));
    vec3 base = mix(texel.rgb, woods_rgb * 1.1, 0.25 * wooded);
    return base * base * (sky_rgb + sun_rgb * max(sun.z, 0.0));
}
void main() {
    vec3 ray = normalize(view);
    float level = max(length(ray.xy), 1e-4), slope = ray.z / level;
    float d = slope < -1e-4 ? min(eye.z / -slope, 4e4) : 4e4;
    vec2 at = eye.xy + ray.xy / level * d;
    colour = exposed(slope < 0.0 ? hazed(ground(at, d, min(slope, -1e-4)), d) : sky(ray));
}
"""
)

# Belts of trees and houses and ranges of hills: wavy rings about the district, drawn far ones
# first.  Each is a band just so high that all of it fits; the fragment finds its outline.
BELT_VERTEX = """
#version 330
uniform mat4 clip_from_world; uniform vec3 eye; uniform float hills_m; uniform float built;
in vec2 in_way; in float in_radius; in float in_rise; in float in_up;
out vec3 view; flat out float radius; flat out float rise;
void main() {
    vec2 to = in_way * in_radius - eye.xy;
    float d = length(to), top = in_rise > 0.0 ? hills_m * in_rise * 2.4 + 8.0 : 20.0 + 14.0 * built;
    float z = in_up > 0.5 ? top - eye.z : -eye.z;
    view = vec3(to / d, z / (d * ((z > 0.0) == (in_up > 0.5) ? 0.85 : 1.15)));
    gl_Position = clip_from_world * vec4(view, 0.0);
    gl_Position.z = gl_Position.w * 0.999999;  // behind all that was drawn, before the sky
    radius = in_radius; rise = in_rise;
}
"""

BELT_FRAGMENT = (
    _AIR
    + """
uniform sampler2D detail; uniform float px_rad;
uniform vec3 woods_rgb; uniform float hills_m; uniform float wooded; uniform float built;
uniform float seed;
in vec3 view; flat in float radius; flat in float rise;
float noise(vec2 at, float per_m, float across_m) {
    return textureLod(detail, at * per_m, log2(max(across_m * per_m * 512.0, 1.0))).a - 0.5;
}
float hash(vec2 cell) { return fract(sin(dot(cell, vec2(127.1, 311.7)) + seed) * 43758.5453); }
vec3 lit(vec3 base, vec2 to_eye, float upright) {
    vec3 n = normalize(vec3(to_eye, upright));
    return base * base * (sky_rgb * 0.8 + sun_rgb * (0.12 + 0.88 * max(dot(n, sun), 0.0)));
}
// Colour, and in alpha the share of the picture's point that the belt hides.
vec4 belt(vec2 u, float slope) {
    float r = radius, ahead = dot(eye.xy, u);
    float d = -ahead + sqrt(max(ahead * ahead + r * r - dot(eye.xy, eye.xy), 1.0));
    vec2 shift = vec2(seed, fract(seed * 7.3)) * 4000.0 + r * vec2(1.7, 2.3);
    bool is_hill = rise > 0.0;
    d *= 1.0 + (is_hill ? 0.0 : 0.22) * noise(eye.xy + u * d + shift, 0.0011, 2.0);
    vec2 at = eye.xy + u * d + shift;
    float across_m = d * px_rad, z = eye.z + slope * d;
    if (is_hill) {
        float relief = noise(at, 0.6 / r, across_m) + 0.35 * noise(at, 2.3 / r, across_m);
        float top = hills_m * rise * (0.55 + 2.0 * relief) + 3.0 * noise(at, 0.016, across_m);
        vec3 base = woods_rgb * (0.85 + 0.7 * noise(vec2(at.x + at.y, z * 2.5), 0.0037, across_m));
        vec4 fields = vec4(lit(base, -u, 1.2), smoothstep(-across_m, across_m, top - z));
        return vec4(hazed(fields.rgb, d), fields.a * step(0.0, z));
    }
    float grove = noise(at, 0.0023, across_m) + 0.5 * (wooded - 0.4);
    float crown = texture(detail, at * 0.011).g - 0.5;
    float tall = smoothstep(-0.03, 0.06, grove) * (8.0 + 9.0 * grove + 6.0 * crown);
    float leafy = texture(detail, vec2(dot(at, vec2(-u.y, u.x)), z * 1.3) * 0.021).g;
    vec3 base = woods_rgb * (0.55 + 0.35 * clamp(z / max(tall, 1.0), 0.0, 1.0) + 0.5 * leafy - 0.2);
    vec4 c = vec4(lit(base, -u, 0.9), smoothstep(-across_m, across_m, tall - z));
    vec2 cell = floor(at / 19.0);
    float draw = hash(cell);
    float high = draw < 0.5 * built ? 4.0 + 40.0 * draw * (draw < 0.12 * built * built ? 6.0 : 0.4)
                                    : 0.0;
    float is_house = step(0.1, high) * smoothstep(-across_m, across_m, high - z);
    float tone = hash(cell + 7.0);
    vec3 wall = mix(vec3(0.62, 0.58, 0.52), vec3(0.9, 0.88, 0.84), tone);
    wall *= high > 12.0 ? 0.9 + 0.1 * step(0.4, fract(z / 3.1)) : 1.0;
    vec3 roof = tone < 0.6 ? vec3(0.56, 0.3, 0.24) : vec3(0.46, 0.47, 0.5);
    wall = high < 12.0 && z > high * 0.55 ? roof : wall;
    c = mix(c, vec4(lit(wall, -u, 0.5), 1.0), is_house);
    return vec4(hazed(c.rgb, d), c.a * step(0.0, z));
}
void main() {
    float level = max(length(view.xy), 1e-4);
    vec4 c = belt(view.xy / level, view.z / level);
    colour = vec4(exposed(c.rgb).rgb, c.a);
}
"""
)
