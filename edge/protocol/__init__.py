"""What goes over the air: alert, ack, topics, CDDL; spoken by report/ and desk/."""
