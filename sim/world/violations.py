"""What a patrol looks for: each maker places one violation and records its truth."""

from __future__ import annotations

from sim.world.heaps import add_waste_pile
from sim.world.pits import add_open_pit
from sim.world.sheds import add_structure
from sim.world.smoke import add_smoke
from sim.world.water import add_discharge, add_floating_waste
from sim.world.works import add_bare_soil

VIOLATIONS = {
    "structure": add_structure,
    "discharge": add_discharge,
    "floating_waste": add_floating_waste,
    "smoke": add_smoke,
    "waste_pile": add_waste_pile,
    "bare_soil": add_bare_soil,
    "open_pit": add_open_pit,
}
