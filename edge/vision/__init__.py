"""2. From pixels to detections: preprocess, ONNX session, output heads, NMS."""
