# Read by the flask command, so that plain `flask …` finds the app. No secrets here: those live in .env.
FLASK_APP=keyturn.commands:load()
