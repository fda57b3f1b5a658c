"""A stand-in for Microsoft Graph: see graph_simulator.py beside this folder."""
