"""The one table of MAVLink messages: what each does to the telemetry, and which are ignored.

A reader takes `(telemetry state, message, received_mono_ns)`.  What is listed with `ignore` is
known and of no use here; what is not listed at all is warned of once and counted.  Wire units
(degE7, mm, cm/s, centidegrees) die in these functions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

from edge.capture.gimbal import (
    GimbalSample,
    sample_from_mount_status,
    yaw_reference_from_flags,
)
from edge.capture.pose_buffer import Fix, Turn, is_finite
from edge.capture.pose_buffer_math import UNKNOWN_ROTATION, normalised
from edge.capture.telemetry_state import Gnss, TelemetryState
from edge.records import Home, YawReference

Reader: TypeAlias = Callable[[TelemetryState, Any, int], None]

_DOWNWARD = 25  # MAV_SENSOR_ROTATION_PITCH_270
# EKF_STATUS_REPORT and ESTIMATOR_STATUS share these bits; the last is "uninitialised" in the one
# and "GNSS glitch" in the other, and in neither case does anybody vouch for the position.
_POSITION_ABSOLUTE, _CONSTANT_POSITION, _UNINITIALISED = 16, 128, 1024
# While ATTITUDE comes, ATTITUDE_QUATERNION is the same again.
_PREFER_EULER_NS = 1_000_000_000


def ignore(_state: TelemetryState, _msg: Any, _received_mono_ns: int) -> None:
    """Do nothing with a message that is known and not needed."""


def heartbeat(state: TelemetryState, msg: Any, received_mono_ns: int) -> None:
    """Remember that the autopilot lives and what it is."""
    state.heartbeat_mono_ns = received_mono_ns
    state.vehicle_type = int(msg.type)
    state.autopilot = int(msg.autopilot)


def attitude(state: TelemetryState, msg: Any, received_mono_ns: int) -> None:
    """Keep ATTITUDE: radians, ZYX, body rates."""
    boot_ns = state.boot_ns(msg.time_boot_ms, received_mono_ns)
    euler_rad = (msg.roll, msg.pitch, msg.yaw)
    rates = (msg.rollspeed, msg.pitchspeed, msg.yawspeed)
    if not is_finite(euler_rad):
        raise ValueError(f"attitude {euler_rad} is not finite")
    if boot_ns is not None:
        state.euler_boot_ns = boot_ns
        rates = rates if is_finite(rates) else (0.0, 0.0, 0.0)
        state.poses.turns.append(boot_ns, Turn(None, euler_rad, rates))


def attitude_quaternion(state: TelemetryState, msg: Any, received_mono_ns: int) -> None:
    """Keep ATTITUDE_QUATERNION where no ATTITUDE comes; (0, 0, 0, 0) means that it is unknown."""
    boot_ns = state.boot_ns(msg.time_boot_ms, received_mono_ns)
    if boot_ns is None or boot_ns - state.euler_boot_ns < _PREFER_EULER_NS:
        return
    told = (msg.q1, msg.q2, msg.q3, msg.q4)
    q = normalised(told) if any(told) else UNKNOWN_ROTATION
    if q is None:
        raise ValueError("the attitude quaternion is no rotation")
    rates = (msg.rollspeed, msg.pitchspeed, msg.yawspeed)
    rates = rates if is_finite(rates) else (0.0, 0.0, 0.0)
    state.poses.turns.append(boot_ns, Turn(q, (0.0, 0.0, 0.0), rates))


def global_position_int(state: TelemetryState, msg: Any, received_mono_ns: int) -> None:
    """Keep GLOBAL_POSITION_INT; `relative_alt` is above home, not above ground."""
    boot_ns = state.boot_ns(msg.time_boot_ms, received_mono_ns)
    lat_deg, lon_deg = msg.lat * 1e-7, msg.lon * 1e-7
    if not (abs(lat_deg) <= 90.0 and abs(lon_deg) <= 180.0):  # also refuses NaN
        raise ValueError(f"no such place: {lat_deg}, {lon_deg}")
    if boot_ns is not None:
        velocity = (msg.vx * 1e-2, msg.vy * 1e-2, msg.vz * 1e-2)
        fix = Fix(lat_deg, lon_deg, msg.alt * 1e-3, msg.relative_alt * 1e-3, velocity)
        state.poses.fixes.append(boot_ns, fix)


def gps_raw_int(state: TelemetryState, msg: Any, received_mono_ns: int) -> None:
    """Keep whether there is a fix, and the receiver's accuracy; its position is not used."""
    # eph and epv are dilution × 100, not metres; h_acc 0 is "not given", not "perfect".
    h_acc_mm, v_acc_mm = getattr(msg, "h_acc", 0), getattr(msg, "v_acc", 0)
    gnss = Gnss(
        fix_type=int(msg.fix_type),
        h_acc_m=h_acc_mm * 1e-3 if h_acc_mm > 0 else None,
        v_acc_m=v_acc_mm * 1e-3 if v_acc_mm > 0 else None,
    )
    state.gnss.append(received_mono_ns, gnss)


def estimator_flags(state: TelemetryState, msg: Any, received_mono_ns: int) -> None:
    """Keep whether the estimator vouches for an absolute position."""
    flags = int(msg.flags)
    vouches = bool(flags & _POSITION_ABSOLUTE) and not flags & (_CONSTANT_POSITION | _UNINITIALISED)
    state.vouched.append(received_mono_ns, vouches)


def system_time(state: TelemetryState, msg: Any, received_mono_ns: int) -> None:
    """Keep UTC against boot time, where it is plausible."""
    boot_ns = state.boot_ns(msg.time_boot_ms, received_mono_ns)
    if boot_ns is not None:
        state.utc.hear(int(msg.time_unix_usec), boot_ns)


def timesync(state: TelemetryState, msg: Any, received_mono_ns: int) -> None:
    """Take the answer to a request of ours; requests and answers to others pass by."""
    state.clock.answered(int(msg.tc1), int(msg.ts1), received_mono_ns)


def rangefinder(state: TelemetryState, msg: Any, received_mono_ns: int) -> None:
    """Keep the slant range; ArduPilot says exactly 0.0 when it has none."""
    if math.isfinite(msg.distance) and msg.distance > 0.0:
        state.ranges_m.append(received_mono_ns, float(msg.distance))


def distance_sensor(state: TelemetryState, msg: Any, received_mono_ns: int) -> None:
    """Keep a downward range, cm, within what the sensor says it can measure."""
    range_cm = int(msg.current_distance)
    if msg.orientation == _DOWNWARD and 0 < range_cm <= (msg.max_distance or range_cm):
        state.ranges_m.append(received_mono_ns, range_cm * 1e-2)


def terrain_report(state: TelemetryState, msg: Any, received_mono_ns: int) -> None:
    """Keep the height above the terrain database; spacing 0 means that it has no data."""
    has_data = msg.spacing != 0 and (msg.lat != 0 or msg.lon != 0)
    if has_data and math.isfinite(msg.current_height):
        state.terrain_m.append(received_mono_ns, float(msg.current_height))


def gimbal_attitude(state: TelemetryState, msg: Any, received_mono_ns: int) -> None:
    """Keep GIMBAL_DEVICE_ATTITUDE_STATUS; (0, 0, 0, 0) means that no gimbal is found."""
    time_ns = state.gimbal_ns(msg.time_boot_ms, received_mono_ns)
    told = (msg.q[0], msg.q[1], msg.q[2], msg.q[3])
    q = normalised(told)
    if time_ns is None:
        return
    if not any(told) and state.has_gimbal_device:  # from now on nobody knows where it looks
        state.gimbal.append(time_ns, GimbalSample(UNKNOWN_ROTATION, YawReference.VEHICLE))
    if q is not None:
        state.has_gimbal_device = True
        sample = GimbalSample(q, yaw_reference_from_flags(int(msg.flags)))
        state.gimbal.append(time_ns, sample)
        state.compare_gimbal(received_mono_ns)


def mount_status(state: TelemetryState, msg: Any, received_mono_ns: int) -> None:
    """Keep MOUNT_STATUS of older ArduPilot, until the newer message comes; it has no time."""
    time_ns = state.gimbal_clock.boot_from_mono(received_mono_ns)
    if time_ns is not None and not state.has_gimbal_device:
        sample = sample_from_mount_status(msg.pointing_a, msg.pointing_b, msg.pointing_c)
        state.gimbal.append(time_ns, sample)
        state.compare_gimbal(received_mono_ns)


def home_position(state: TelemetryState, msg: Any, _received_mono_ns: int) -> None:
    """Keep where heights above home are counted from; (0, 0) is no home."""
    home = Home(msg.latitude * 1e-7, msg.longitude * 1e-7, msg.altitude * 1e-3)
    if home.lat_deg != 0.0 or home.lon_deg != 0.0:
        state.home = home


def autopilot_version(state: TelemetryState, msg: Any, _received_mono_ns: int) -> None:
    """Remember the firmware's number."""
    state.firmware_version = int(msg.flight_sw_version)


def camera_information(state: TelemetryState, msg: Any, _received_mono_ns: int) -> None:
    """Note that there is a camera to ask for its streams."""
    state.streams.hear_camera(msg)


def video_stream_information(state: TelemetryState, msg: Any, _received_mono_ns: int) -> None:
    """Note a video stream."""
    state.streams.hear_stream(msg)


_IGNORED = """
    ACTUATOR_CONTROL_TARGET ACTUATOR_OUTPUT_STATUS ADAP_TUNING ADSB_VEHICLE AHRS AHRS2 AHRS3
    AIRSPEED_AUTOCAL ALTITUDE AOA_SSA ATTITUDE_TARGET AUTOPILOT_STATE_FOR_GIMBAL_DEVICE BATTERY2
    BATTERY_STATUS BUTTON_CHANGE CAMERA_CAPTURE_STATUS CAMERA_FEEDBACK CAMERA_FOV_STATUS
    CAMERA_IMAGE_CAPTURED CAMERA_SETTINGS CAMERA_TRACKING_GEO_STATUS
    CAMERA_TRACKING_IMAGE_STATUS CAMERA_TRIGGER COLLISION COMMAND_ACK COMMAND_INT COMMAND_LONG
    COMPASSMOT_STATUS CONTROL_SYSTEM_STATE DATA16 DATA32 DATA64 DATA96 DEEPSTALL EFI_STATUS
    ENCAPSULATED_DATA ESC_TELEMETRY_1_TO_4 ESC_TELEMETRY_5_TO_8 ESC_TELEMETRY_9_TO_12
    EXTENDED_SYS_STATE FENCE_STATUS FILE_TRANSFER_PROTOCOL FLIGHT_INFORMATION GENERATOR_STATUS
    GIMBAL_DEVICE_INFORMATION GIMBAL_DEVICE_SET_ATTITUDE GIMBAL_MANAGER_INFORMATION
    GIMBAL_MANAGER_STATUS GIMBAL_REPORT GLOBAL_POSITION_INT_COV GLOBAL_VISION_POSITION_ESTIMATE
    GPS2_RAW GPS2_RTK GPS_GLOBAL_ORIGIN GPS_INJECT_DATA GPS_INPUT GPS_RTCM_DATA GPS_RTK
    GPS_STATUS HIGHRES_IMU HIGH_LATENCY HIGH_LATENCY2 HIL_ACTUATOR_CONTROLS HIL_CONTROLS
    HWSTATUS HYGROMETER_SENSOR LANDING_TARGET LIMITS_STATUS LOCAL_POSITION_NED
    LOCAL_POSITION_NED_COV LOCAL_POSITION_NED_SYSTEM_GLOBAL_OFFSET LOGGING_DATA LOG_DATA
    LOG_ENTRY MAG_CAL_PROGRESS MAG_CAL_REPORT MANUAL_CONTROL MCU_STATUS MEMINFO MEMORY_VECT
    MESSAGE_INTERVAL MISSION_ACK MISSION_COUNT MISSION_CURRENT MISSION_ITEM MISSION_ITEM_INT
    MISSION_ITEM_REACHED MISSION_REQUEST MISSION_REQUEST_INT MISSION_REQUEST_LIST
    NAMED_VALUE_FLOAT NAMED_VALUE_INT NAV_CONTROLLER_OUTPUT OBSTACLE_DISTANCE
    OBSTACLE_DISTANCE_3D ODOMETRY OPEN_DRONE_ID_ARM_STATUS OPEN_DRONE_ID_SYSTEM_UPDATE
    OPTICAL_FLOW OPTICAL_FLOW_RAD ORBIT_EXECUTION_STATUS PARAM_EXT_ACK PARAM_EXT_VALUE
    PARAM_REQUEST_LIST PARAM_REQUEST_READ PARAM_SET PARAM_VALUE PID_TUNING PING
    POSITION_TARGET_GLOBAL_INT POSITION_TARGET_LOCAL_NED POWER_STATUS RADIO RADIO_STATUS
    RALLY_POINT RAW_IMU RAW_PRESSURE RAW_RPM RC_CHANNELS RC_CHANNELS_OVERRIDE RC_CHANNELS_RAW
    RC_CHANNELS_SCALED REQUEST_DATA_STREAM RPM SCALED_IMU SCALED_IMU2 SCALED_IMU3
    SCALED_PRESSURE SCALED_PRESSURE2 SCALED_PRESSURE3 SENSOR_OFFSETS SERIAL_CONTROL
    SERVO_OUTPUT_RAW SET_GPS_GLOBAL_ORIGIN SET_MODE SIMSTATE SIM_STATE SMART_BATTERY_INFO
    STATUSTEXT STORAGE_INFORMATION SYS_STATUS TERRAIN_CHECK TERRAIN_DATA TERRAIN_REQUEST
    TRAJECTORY_REPRESENTATION_WAYPOINTS TUNNEL UAVIONIX_ADSB_OUT_STATUS UTM_GLOBAL_POSITION
    V2_EXTENSION VFR_HUD VIBRATION VIDEO_STREAM_STATUS VISION_POSITION_ESTIMATE WATER_DEPTH
    WHEEL_DISTANCE WINCH_STATUS WIND WIND_COV
"""

# From the autopilot itself.
DISPATCH: dict[str, Reader] = {
    **dict.fromkeys(_IGNORED.split(), ignore),
    "HEARTBEAT": heartbeat,
    "ATTITUDE": attitude,
    "ATTITUDE_QUATERNION": attitude_quaternion,
    "GLOBAL_POSITION_INT": global_position_int,
    "GPS_RAW_INT": gps_raw_int,
    "EKF_STATUS_REPORT": estimator_flags,
    "ESTIMATOR_STATUS": estimator_flags,
    "SYSTEM_TIME": system_time,
    "TIMESYNC": timesync,
    "RANGEFINDER": rangefinder,
    "DISTANCE_SENSOR": distance_sensor,
    "TERRAIN_REPORT": terrain_report,
    "GIMBAL_DEVICE_ATTITUDE_STATUS": gimbal_attitude,
    "MOUNT_STATUS": mount_status,
    "AUTOPILOT_VERSION": autopilot_version,
    "HOME_POSITION": home_position,
    "CAMERA_INFORMATION": camera_information,
    "VIDEO_STREAM_INFORMATION": video_stream_information,
}

# What is taken from the gimbal's component, and what from cameras; the rest of theirs is ignored.
FROM_GIMBAL = frozenset({"GIMBAL_DEVICE_ATTITUDE_STATUS", "MOUNT_STATUS"})
FROM_CAMERA = frozenset({"CAMERA_INFORMATION", "VIDEO_STREAM_INFORMATION"})
# What must be decoded; of the rest only the arrival is counted.
WANTED = frozenset(name for name, reader in DISPATCH.items() if reader is not ignore)
