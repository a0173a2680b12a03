"""The wording that commands and pages share: figures, progress, states, texts and their languages.

It stands on the shapes of the API and the model, asks nobody, and knows neither terminal nor template.
"""
