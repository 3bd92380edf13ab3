"""What goes over the air: alert, ack, status, topics, CDDL; spoken by report/ and desk/."""
