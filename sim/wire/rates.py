"""Which messages a link has asked for, and how often: ArduPilot's intervals and stream groups."""

from __future__ import annotations

from pymavlink.dialects.v20 import ardupilotmega as mavlink2

_m = mavlink2

# What REQUEST_DATA_STREAM switches on, by group, as ArduCopter 4 does.
STREAM_GROUPS: dict[int, tuple[int, ...]] = {
    _m.MAV_DATA_STREAM_RAW_SENSORS: (
        _m.MAVLINK_MSG_ID_RAW_IMU,
        _m.MAVLINK_MSG_ID_SCALED_IMU2,
        _m.MAVLINK_MSG_ID_SCALED_IMU3,
        _m.MAVLINK_MSG_ID_SCALED_PRESSURE,
    ),
    _m.MAV_DATA_STREAM_EXTENDED_STATUS: (
        _m.MAVLINK_MSG_ID_SYS_STATUS,
        _m.MAVLINK_MSG_ID_POWER_STATUS,
        _m.MAVLINK_MSG_ID_MEMINFO,
        _m.MAVLINK_MSG_ID_MISSION_CURRENT,
        _m.MAVLINK_MSG_ID_GPS_RAW_INT,
        _m.MAVLINK_MSG_ID_GPS2_RAW,
        _m.MAVLINK_MSG_ID_NAV_CONTROLLER_OUTPUT,
        _m.MAVLINK_MSG_ID_FENCE_STATUS,
    ),
    _m.MAV_DATA_STREAM_RC_CHANNELS: (
        _m.MAVLINK_MSG_ID_SERVO_OUTPUT_RAW,
        _m.MAVLINK_MSG_ID_RC_CHANNELS,
    ),
    _m.MAV_DATA_STREAM_POSITION: (
        _m.MAVLINK_MSG_ID_GLOBAL_POSITION_INT,
        _m.MAVLINK_MSG_ID_LOCAL_POSITION_NED,
    ),
    _m.MAV_DATA_STREAM_EXTRA1: (
        _m.MAVLINK_MSG_ID_ATTITUDE,
        _m.MAVLINK_MSG_ID_SIMSTATE,
        _m.MAVLINK_MSG_ID_AHRS2,
        _m.MAVLINK_MSG_ID_PID_TUNING,
    ),
    _m.MAV_DATA_STREAM_EXTRA2: (_m.MAVLINK_MSG_ID_VFR_HUD,),
    _m.MAV_DATA_STREAM_EXTRA3: (
        _m.MAVLINK_MSG_ID_AHRS,
        _m.MAVLINK_MSG_ID_SYSTEM_TIME,
        _m.MAVLINK_MSG_ID_WIND,
        _m.MAVLINK_MSG_ID_RANGEFINDER,
        _m.MAVLINK_MSG_ID_DISTANCE_SENSOR,
        _m.MAVLINK_MSG_ID_TERRAIN_REPORT,
        _m.MAVLINK_MSG_ID_BATTERY_STATUS,
        _m.MAVLINK_MSG_ID_GIMBAL_DEVICE_ATTITUDE_STATUS,
        _m.MAVLINK_MSG_ID_GIMBAL_MANAGER_STATUS,
        _m.MAVLINK_MSG_ID_EKF_STATUS_REPORT,
        _m.MAVLINK_MSG_ID_VIBRATION,
    ),
}


class Intervals:
    """What one link has asked for; lost when the autopilot reboots."""

    def __init__(self) -> None:
        self._interval_ns: dict[int, int] = {}
        self._due_mono_ns: dict[int, int] = {}

    @property
    def asked(self) -> tuple[int, ...]:
        return tuple(self._interval_ns)

    def ask(self, message_id: int, interval_us: float) -> None:
        """Send this type every `interval_us`; 0 or less: no more (ArduPilot's default on UDP)."""
        self._interval_ns.pop(message_id, None)
        self._due_mono_ns.pop(message_id, None)
        if interval_us > 0:
            self._interval_ns[message_id] = round(interval_us * 1000)

    def ask_group(self, group: int, rate_hz: int) -> None:
        """Do what REQUEST_DATA_STREAM asks; group 0 is all of them."""
        groups = STREAM_GROUPS if group == _m.MAV_DATA_STREAM_ALL else {group: ()}
        for message_id in (i for name in groups for i in STREAM_GROUPS.get(name, ())):
            self.ask(message_id, 1e6 / rate_hz if rate_hz > 0 else -1)

    def interval_us(self, message_id: int) -> int:
        """Return the interval, or -1 where the type is not sent, as MESSAGE_INTERVAL does."""
        interval_ns = self._interval_ns.get(message_id)
        return -1 if interval_ns is None else interval_ns // 1000

    def takes(self, message_id: int, mono_ns: int) -> bool:
        """Say whether a sample of this instant is sent; keeps the mean rate, not the gaps."""
        interval_ns = self._interval_ns.get(message_id)
        if interval_ns is None:
            return False
        due_ns = self._due_mono_ns.get(message_id, mono_ns)
        if mono_ns < due_ns:
            return False
        behind = mono_ns - due_ns >= interval_ns  # the log is slower than the rate asked for
        self._due_mono_ns[message_id] = (mono_ns if behind else due_ns) + interval_ns
        return True
