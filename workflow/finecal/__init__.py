"""finecal: what did fine-tuning damage in my classifier, and how do I get it back?"""

__version__ = "0.1.0"
