"""Device dissectors that come with vutrace, written and registered as anyone's plug-in would be."""
