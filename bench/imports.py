"""Imports modules and leaves: python bench/imports.py torch torchvision"""
import importlib
import sys

for name in sys.argv[1:]:
    importlib.import_module(name)
