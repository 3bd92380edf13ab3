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
_COMMON = """
#version 330
uniform sampler2DShadow shadow_map; uniform mat4 shadow_from_world;
uniform vec3 sun; uniform vec3 sun_rgb; uniform vec3 sky_rgb; uniform vec3 eye;
uniform vec3 haze_rgb; uniform float haze_per_m; uniform vec3 gain; uniform float vivid;
in vec3 world; in vec3 normal;
out vec4 colour;
float lit_share() {
    vec3 spot = (shadow_from_world * vec4(world, 1.0)).xyz * 0.5 + 0.5;
    return texture(shadow_map, spot - vec3(0.0, 0.0, 0.0006));
}
vec4 as_seen(vec3 c, float distance_m) {
    c = mix(c, haze_rgb, 1.0 - exp(-distance_m * haze_per_m)) * gain;
    c = mix(vec3(dot(c, vec3(0.3, 0.59, 0.11))), c, vivid);
    return vec4(sqrt(clamp(c, 0.0, 1.0)), 1.0);
}
"""

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
