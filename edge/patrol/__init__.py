"""4. From sightings to incidents: association, fusion, zones, rules, grid."""
